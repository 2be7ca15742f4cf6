"""CelebA: every layout people have, crops, splits and what is refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from datasets.celeba import CelebA
from datasets.options import InvalidOptionError
from datasets.source import MissingFilesError, UnreadableError
from datasets.tree import InvalidFolderError

COUNT = 20
SPLIT_OF = [0] * 12 + [1] * 3 + [2] * 5
TEXT = "".join(f"{i + 1:06}.jpg {split}\n" for i, split in enumerate(SPLIT_OF))
CSV = "image_id,partition\n" + TEXT.replace(" ", ",")
TXT_NAME, CSV_NAME = "list_eval_partition.txt", "list_eval_partition.csv"


def face(index: int, size: tuple[int, int] = (178, 218)) -> bytes:
    """Return a JPEG whose mean tells the index."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (10 * index, 100, 255 - 10 * index)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


FACES = {f"{index + 1:06}.jpg": face(index) for index in range(COUNT)}


def lay(root: Path, folder: str, lists: dict[str, str], faces: dict[str, bytes] = FACES) -> Path:
    (root / folder).mkdir(parents=True)
    for name, content in faces.items():
        (root / folder / name).write_bytes(content)
    for name, text in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def pack(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as stream:
        for name, content in members.items():
            stream.writestr(name, content)
    return path


def reds(pixels: np.ndarray) -> list[int]:
    return [round(float(image[0].mean()) / 10) for image in pixels]


def layouts(root: Path) -> dict[str, Path]:
    aligned = {f"img_align_celeba/{name}": content for name, content in FACES.items()}
    nested = {f"img_align_celeba/{name}": content for name, content in aligned.items()}
    kaggle = {**nested, CSV_NAME: CSV.encode()}
    pack(root / "zip/celeba64/img_align_celeba.zip", aligned)
    (root / "zip/celeba64" / TXT_NAME).write_text(TEXT)
    pack(root / "page/CelebA/Img/img_align_celeba.zip", aligned)
    (root / "page/CelebA/Eval").mkdir()
    (root / "page/CelebA/Eval" / TXT_NAME).write_text(TEXT)
    torchvision = lay(root / "tv/celeba", "img_align_celeba", {TXT_NAME: TEXT})
    return {
        "torchvision": torchvision.parent,
        "torchvision's own": torchvision,
        "the images' folder": torchvision / "img_align_celeba",
        "kaggle": lay(root / "kaggle", "img_align_celeba/img_align_celeba", {CSV_NAME: CSV}),
        "kaggle's zip": pack(root / "kz/archive.zip", kaggle).parent,
        "kaggle's zip itself": pack(root / "file/any name.zip", kaggle),
        "the official zip": root / "zip",
        "the official page": root / "page",
        "unpacked as the page": lay(
            root / "up/celeba", "Img/img_align_celeba", {f"Eval/{TXT_NAME}": TEXT}
        ),
    }


def test_every_layout_gives_the_official_split_in_order(tmp_path) -> None:
    hashes = set()
    for name, root in layouts(tmp_path).items():
        images = CelebA(root=root).load()
        assert reds(images.train) == list(range(12)), name
        assert reds(images.validation) == [12, 13, 14], name
        assert reds(images.test) == [15, 16, 17, 18, 19], name
        hashes.add(images.data_hash)
    assert len(hashes) == 1
    assert images.train.shape == (12, 3, 64, 64) and "non-commercial" in images.licence


def test_the_partition_is_among_the_files(tmp_path) -> None:
    root = lay(tmp_path, "img_align_celeba", {TXT_NAME: TEXT})
    files = CelebA(root=root).open().files
    assert len(files) == COUNT + 1 and files[-1].path == TXT_NAME
    before = CelebA(root=root).open().fingerprint()
    (root / TXT_NAME).write_text(TEXT + "\n")
    assert CelebA(root=root).open().fingerprint() != before


@pytest.mark.parametrize("crop", [148, 178, 160, 140, 138, 128])
def test_crops_are_torchvisions_to_the_bit(tmp_path, crop) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    root = lay(tmp_path, "img_align_celeba", {}, {"000001.jpg": buffer.getvalue()})
    found = CelebA(root=root, crop=crop, split="80/20").open().read(0)
    transform = v2.Compose([v2.CenterCrop(crop), v2.Resize(64)])
    expected = np.asarray(transform(Image.open(buffer))).transpose(2, 0, 1)
    assert np.array_equal(found, expected)


def test_larsens_crop_begins_five_rows_lower(tmp_path) -> None:
    rows = np.repeat(np.arange(218, dtype=np.uint8)[:, None], 178, axis=1)
    columns = np.repeat(np.arange(178, dtype=np.uint8)[None], 218, axis=0)
    for name, ramp, ends in (("rows", rows, (40, 187)), ("columns", columns, (15, 162))):
        buffer = io.BytesIO()
        Image.fromarray(ramp).save(buffer, "JPEG", quality=100)
        root = lay(tmp_path / name, "img_align_celeba", {}, {"000001.jpg": buffer.getvalue()})
        cut = CelebA(root=root, crop="larsen", split="80/20", size=148).open().read(0)[0]
        assert cut.min() == pytest.approx(ends[0], abs=1)
        assert cut.max() == pytest.approx(ends[1], abs=1)


def test_the_paper_s_split_is_72_8_20_and_seeded(tmp_path) -> None:
    faces = {
        f"{i + 1:06}.jpg": face(i % 25) + bytes([i]) for i in range(100)
    }  # the colours repeat, and copies stay together
    root = lay(tmp_path, "img_align_celeba", {}, faces)
    images = CelebA(root=root, split="80/20", size=8).load()
    sizes = [len(split) for split in (images.train, images.validation, images.test)]
    assert sizes == [72, 8, 20]
    assert not {*reds(images.train)} & {*reds(images.test)}
    other = CelebA(root=root, split="80/20", size=8, seed=1).load()
    assert reds(other.test) != reds(images.test)


def test_what_is_missing_is_named(tmp_path) -> None:
    page = "mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    with pytest.raises(MissingFilesError, match=page):
        CelebA().open()
    with pytest.raises(MissingFilesError, match=r"there is no folder .*nowhere"):
        CelebA(root=tmp_path / "nowhere").open()
    with pytest.raises(
        MissingFilesError, match=rf"img_align_celeba \(.*\) and list_eval_partition\.txt.*{page}"
    ):
        CelebA(root=tmp_path).open()
    root = lay(tmp_path / "a", "img_align_celeba", {})
    with pytest.raises(MissingFilesError, match=rf"no list_eval_partition\.txt .*{page}"):
        CelebA(root=root).open()
    (root / TXT_NAME).write_text(TEXT)
    for name in ("000007.jpg", "000009.jpg"):
        (root / "img_align_celeba" / name).unlink()
    with pytest.raises(
        MissingFilesError, match=rf"2 images that it lists are missing, first 000007\.jpg, .*{page}"
    ):
        CelebA(root=root).open()
    with pytest.raises(MissingFilesError, match=r"image 7 is missing"):
        CelebA(root=root, split="80/20").open()


def test_other_images_and_other_lists_are_refused(tmp_path) -> None:
    small = {name: face(0, (64, 64)) for name in FACES}
    root = lay(tmp_path / "small", "img_align_celeba", {TXT_NAME: TEXT}, small)
    with pytest.raises(InvalidFolderError, match="are 64x64, not 178x218"):
        CelebA(root=root).open()
    root = lay(tmp_path / "list", "img_align_celeba", {TXT_NAME: TEXT + "000021.jpg train\n"})
    with pytest.raises(InvalidFolderError, match=r"line 21 of .* is '000021\.jpg train'"):
        CelebA(root=root).open()
    (root / TXT_NAME).write_text("000001.jpg 0\n")
    with pytest.raises(InvalidFolderError, match="lists no image of validation"):
        CelebA(root=root).open()
    root = lay(tmp_path / "one", "img_align_celeba", {TXT_NAME: TEXT})
    (root / "img_align_celeba/000005.jpg").write_bytes(face(0, (100, 100)))
    with pytest.raises(UnreadableError, match=r"000005\.jpg .*100x100 instead of 178x218"):
        CelebA(root=root).load()


@pytest.mark.parametrize(
    "options",
    [
        {"crop": 147},
        {"crop": "centre"},
        {"crop": True},
        {"crop": 148.0},
        {"split": "90/10"},
        {"size": 179},
        {"size": 7},
        {"seed": -1},
    ],
)
def test_bad_options(options) -> None:
    with pytest.raises(InvalidOptionError):
        CelebA(**options)
