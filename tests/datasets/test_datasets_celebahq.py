"""CelebA-HQ: layouts, sizes, and the official split by way of the mapping."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.celebahq import MAPPING, CelebAHQ
from datasets.options import InvalidOptionError
from datasets.source import MissingFilesError
from datasets.tree import InvalidFolderError

COUNT = 20
# number in CelebA-HQ -> number in CelebA: reversed, so that a mix-up shows
ROWS = "".join(f"{i:5}      {99 - i}         {100 - i:06}.jpg\n" for i in range(COUNT))
MAP_TEXT = "idx    orig_idx     orig_file\n" + ROWS
SPLIT_OF = {i: 2 if i % 4 == 0 else 1 if i % 4 == 1 else 0 for i in range(COUNT)}
PARTITION = "".join(f"{100 - i:06}.jpg {SPLIT_OF[i]}\n" for i in range(COUNT))


def face(index: int, side: int = 256, form: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (10 * index, 100, 0)).save(buffer, form)
    return buffer.getvalue()


def lay(root: Path, folder: str, names: list[str], side: int = 256) -> Path:
    (root / folder).mkdir(parents=True)
    for index, name in enumerate(names):
        form = "PNG" if name.endswith("png") else "JPEG"
        (root / folder / name).write_bytes(face(index, side, form))
    return root


NUMBERED = [f"{i}.jpg" for i in range(COUNT)]


def reds(pixels: np.ndarray) -> list[int]:
    return [round(float(image[0].mean()) / 10) for image in pixels]


def test_every_layout_gives_the_same_names_in_numeric_order(tmp_path) -> None:
    roots = [
        lay(tmp_path / "a/celebahq256", ".", [f"{i}.png" for i in range(COUNT)]).parent,
        lay(tmp_path / "b", "CelebAMask-HQ/CelebA-HQ-img", NUMBERED),
        lay(tmp_path / "c/CelebAMask-HQ", "CelebA-HQ-img", NUMBERED),
        lay(tmp_path / "d", "data256x256", [f"{i + 1:05}.jpg" for i in range(COUNT)]),
        lay(tmp_path / "e", "celeba_hq_256", [f"{i:05}.jpg" for i in range(COUNT)]),
    ]
    (tmp_path / "z").mkdir()
    with zipfile.ZipFile(tmp_path / "z/CelebAMask-HQ.zip", "w") as stream:
        stream.writestr("CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_hair.png", b"x")
        for index, name in enumerate(NUMBERED):
            stream.writestr(f"CelebAMask-HQ/CelebA-HQ-img/{name}", face(index))
    splits = set()
    for root in [*roots, tmp_path / "z", tmp_path / "z/CelebAMask-HQ.zip"]:
        source = CelebAHQ(root=root, size=32).open()
        assert [reds(source.read(i)[None]) for i in (0, 9, 19)] == [[0], [9], [19]], root
        images = CelebAHQ(root=root, size=32).load()
        splits.add((*reds(images.train), -1, *reds(images.validation), -1, *reds(images.test)))
    assert len(splits) == 1
    assert [len(s) for s in (images.train, images.validation, images.test)] == [15, 1, 4]


def test_the_official_split_follows_the_mapping(tmp_path) -> None:
    root = lay(tmp_path, "CelebAMask-HQ/CelebA-HQ-img", NUMBERED)
    options = {"root": root, "size": 16, "split": "official"}
    with pytest.raises(MissingFilesError, match=r"no list_eval_partition\.txt"):
        CelebAHQ(**options).open()
    (root / "celeba").mkdir()
    (root / "celeba/list_eval_partition.txt").write_text(PARTITION)
    with pytest.raises(MissingFilesError, match="no CelebA-HQ-to-CelebA-mapping"):
        CelebAHQ(**options).open()
    (root / "CelebAMask-HQ" / MAPPING).write_text(MAP_TEXT)
    images = CelebAHQ(**options).load()
    assert reds(images.test) == [0, 4, 8, 12, 16]
    assert reds(images.validation) == [1, 5, 9, 13, 17]
    assert len(images.train) == 10
    (root / "CelebAMask-HQ" / MAPPING).write_text(MAP_TEXT.replace("000097", "000200"))
    with pytest.raises(InvalidFolderError, match=r"say nothing about 3\.jpg"):
        CelebAHQ(**options).open()


def test_files_numbered_from_one_have_no_official_split(tmp_path) -> None:
    root = lay(tmp_path, "data256x256", [f"{i + 1:05}.jpg" for i in range(COUNT)])
    with pytest.raises(InvalidFolderError, match="numbered from 1 but the mapping"):
        CelebAHQ(root=root, split="official").open()


def test_gaps_small_images_and_nothing_are_refused(tmp_path) -> None:
    root = lay(tmp_path / "a", "CelebA-HQ-img", [*NUMBERED[:7], *NUMBERED[8:]])
    with pytest.raises(MissingFilesError, match=r"image 7 is missing .*CelebAMask-HQ"):
        CelebAHQ(root=root).open()
    root = lay(tmp_path / "b", "CelebA-HQ-img", NUMBERED, side=128)
    with pytest.raises(InvalidFolderError, match="128x128, too small for size=256"):
        CelebAHQ(root=root).open()
    assert CelebAHQ(root=root, size=128).open().shape == (3, 128, 128)
    with pytest.raises(MissingFilesError, match="needs CelebA-HQ-img or data256x256"):
        CelebAHQ(root=tmp_path).open()


@pytest.mark.parametrize("options", [{"split": "test"}, {"size": 1025}, {"seed": 0.5}])
def test_bad_options(options) -> None:
    with pytest.raises(InvalidOptionError):
        CelebAHQ(**options)
