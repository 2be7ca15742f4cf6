"""FairFace and CIFAR-10 as JPEG: trees whose folders are the official splits."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.cifar10_jpeg import Cifar10Jpeg
from datasets.fairface import FairFace
from datasets.folder import Folder
from datasets.options import InvalidOptionError
from datasets.source import MissingFilesError
from datasets.tree import InvalidFolderError

DATA = Path(os.environ.get("HARNESS_DATA", "no-data"))
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def needs(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"HARNESS_DATA has no {name}")
    return DATA


def picture(index: int, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (5 * index, 100, 0)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def reds(pixels: np.ndarray) -> list[int]:
    return [round(float(image[0].mean()) / 5) for image in pixels]


def faces(root: Path, side: int = 224) -> Path:
    for folder, numbers in (("train", range(13, 43)), ("val", range(1, 13))):
        (root / folder).mkdir(parents=True)
        for number in numbers:
            (root / folder / f"{number}.jpg").write_bytes(picture(number, side))
    return root


def objects(root: Path, side: int = 32) -> Path:
    for index in range(50):
        split = "test" if index >= 30 else "train"
        path = root / split / CLASSES[index % 10] / f"{index:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(index, side))
    return root


@pytest.mark.parametrize("home", [".", "fairface64", "fairface", "FairFace"])
def test_the_official_val_is_test_in_numeric_order(tmp_path, home) -> None:
    faces(tmp_path / home)
    images = FairFace(root=tmp_path).load()
    assert reds(images.test) == list(range(1, 13))
    assert sorted(reds(images.train) + reds(images.validation)) == list(range(13, 43))
    assert images.train.shape == (27, 3, 64, 64) and len(images.validation) == 3


def test_incomplete_or_small_faces_are_refused(tmp_path) -> None:
    with pytest.raises(
        MissingFilesError, match=r"needs the folders train and val .*github\.com/joojs/fairface"
    ):
        FairFace(root=tmp_path).open()
    faces(tmp_path, side=64)
    with pytest.raises(InvalidFolderError, match="64x64, too small for size=65"):
        FairFace(root=tmp_path, size=65).open()
    (tmp_path / "val").rename(tmp_path / "other")
    with pytest.raises(MissingFilesError, match="no folder val"):
        FairFace(root=tmp_path).open()
    with pytest.raises(InvalidOptionError):
        FairFace(size=225)


def test_cifar10_jpeg_is_shuffled_and_says_that_it_is_lossy(tmp_path) -> None:
    images = Cifar10Jpeg(root=objects(tmp_path / "cifar10-jpeg").parent).load()
    test = reds(images.test)
    assert sorted(test) == list(range(30, 50))
    assert test != sorted(test, key=lambda index: (CLASSES[index % 10], index))
    assert len(images.train) == 27 and len(images.validation) == 3
    assert "JPEG quality 75" in images.description and "lossy" in images.description
    with tarfile.open(tmp_path / "cifar10_jpegq75.tar", "w") as tar:
        tar.add(tmp_path / "cifar10-jpeg/train", "train")
        tar.add(tmp_path / "cifar10-jpeg/test", "test")
    packed = Cifar10Jpeg(root=tmp_path / "cifar10_jpegq75.tar").load()
    assert packed.data_hash == images.data_hash


def test_other_images_are_not_cifar10_jpeg(tmp_path) -> None:
    with pytest.raises(InvalidFolderError, match="64x64, not 32x32"):
        Cifar10Jpeg(root=objects(tmp_path / "large", side=64)).open()
    with pytest.raises(MissingFilesError, match="needs the folders train/CLASS and test/CLASS"):
        Cifar10Jpeg(root=faces(tmp_path / "faces", side=32)).open()


def test_ten_thousand_faces_of_the_open_copy() -> None:
    source = FairFace(root=needs("fairface64")).open()
    distinct = np.arange(len(source), dtype=np.int64).view(np.uint8).reshape(-1, 8)
    splits = source.arrange(distinct, np.ones(len(source), np.bool_))
    sizes = {name: len(indices) for name, indices in splits.items()}
    assert sizes == {"train": 7373, "validation": 819, "test": 2048}
    first = np.asarray(Image.open(DATA / "fairface64/val/1.png")).transpose(2, 0, 1)
    assert np.array_equal(source.read(int(splits["test"][0])), first)


def test_two_pictures_of_one_person_stay_on_one_side() -> None:
    root = needs("london256")
    source = Folder(str(root / "london256"), group=r"(\d+)_", size=16).open()
    images = Folder(str(root / "london256"), group=r"(\d+)_", size=16).load()
    person = {source.read(index).tobytes(): source.name(index)[:3] for index in range(len(source))}
    sides = [
        {person[image.tobytes()] for image in split}
        for split in (images.train, images.validation, images.test)
    ]
    assert [len(side) for side in sides] == [82, 10, 10]
    assert len(set.union(*sides)) == 102


def test_the_open_copy_of_cifar10_has_the_documented_means() -> None:
    source = Cifar10Jpeg(root=needs("cifar10-jpeg")).open()
    assert len(source) == 60_000
    sample = np.stack([source.read(index) for index in range(0, 50_000, 20)])
    means = sample.mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx([0.4913, 0.4821, 0.4465], abs=0.01)  # of all, at its source
