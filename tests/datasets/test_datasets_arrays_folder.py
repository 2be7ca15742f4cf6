"""Folder on NumPy files: forms, splits and what is refused."""

import numpy as np
import pytest

from datasets.decode import DifferentSizesError
from datasets.folder import Folder
from datasets.options import InvalidOptionError
from datasets.tree import InvalidFolderError


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def rows(images: np.ndarray) -> list[bytes]:
    return sorted(image.tobytes() for image in images)


def test_grey_rgb_first_and_last_are_the_same_images(tmp_path) -> None:
    colour = noise(30, 3, 8, 10)
    forms = {
        "first": colour,
        "last": colour.transpose(0, 2, 3, 1),
        "fortran": np.asfortranarray(colour),
    }
    for name, form in forms.items():
        np.save(tmp_path / f"{name}.npy", form)
        images = Folder(str(tmp_path / f"{name}.npy")).load()
        splits = np.concatenate([images.train, images.validation, images.test])
        assert rows(splits) == rows(colour), name
        assert [len(images.train), len(images.validation), len(images.test)] == [24, 3, 3]
    np.save(tmp_path / "grey.npy", colour[:, 0])
    grey = Folder(str(tmp_path / "grey.npy"), channels=1)
    assert grey.image_shape() == (1, 8, 10)
    assert grey.load().train[0, 0].tobytes() in rows(colour[:, 0])
    tripled = Folder(str(tmp_path / "grey.npy")).load().train
    assert np.array_equal(tripled[:, 0], tripled[:, 2])


def test_alpha_is_dropped_and_size_resizes(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.full((20, 16, 16, 4), (10, 20, 30, 0), np.uint8))
    folder = Folder(str(tmp_path / "x.npy"), size=8, crop=12)
    with pytest.raises(ValueError, match="too few distinct"):
        folder.load()
    source = folder.open()
    assert source.shape == (3, 8, 8)
    assert source.read(3)[:, 4, 4].tolist() == [10, 20, 30]


def test_arrays_named_as_splits_are_the_splits(tmp_path) -> None:
    train, test = noise(20, 8, 8), noise(25, 8, 8)[20:]
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "test.npy", test)
    np.save(tmp_path / "labels.npy", np.arange(20))
    source = Folder(str(tmp_path), channels=1).open()
    assert {found.path for found in source.files} == {"train.npy", "test.npy"}
    assert source.name(21) == "test 1"
    images = Folder(str(tmp_path), channels=1).load()
    assert rows(images.test) == rows(test) and len(images.validation) == 2
    assert rows(np.concatenate([images.train, images.validation])) == rows(train)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (noise(4, 8, 8).astype(np.float32), r"holds float32 of shape \(4, 8, 8\): save uint8"),
        (noise(8, 8), r"holds uint8 of shape \(8, 8\)"),
        (noise(4, 2, 8, 8), r"shape \(4, 2, 8, 8\)"),
        (noise(4, 3, 8, 3), r"shape \(4, 3, 8, 3\)"),
        (noise(0, 8, 8), r"shape \(0, 8, 8\)"),
        (np.array([{}], object), "holds object"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InvalidFolderError, match=message):
        Folder(str(tmp_path / "x.npy")).open()


def test_damaged_arrays_are_refused(tmp_path) -> None:
    np.save(tmp_path / "x.npy", noise(9, 8, 8))
    content = (tmp_path / "x.npy").read_bytes()
    for cut, message in ((-1, "ends before its array"), (40, "no array"), (0, "no array")):
        (tmp_path / "x.npy").write_bytes(content[:cut])
        with pytest.raises(InvalidFolderError, match=message):
            Folder(str(tmp_path / "x.npy")).open()


def test_arrays_that_do_not_go_together_are_refused(tmp_path) -> None:
    np.save(tmp_path / "val.npy", noise(9, 8, 8))
    with pytest.raises(InvalidFolderError, match=r"no train\.npy"):
        Folder(str(tmp_path)).open()
    np.save(tmp_path / "train.npy", noise(9, 8, 9))
    with pytest.raises(DifferentSizesError, match="validation are 8x8 but those of train 9x8"):
        Folder(str(tmp_path)).load()
    with pytest.raises(InvalidOptionError, match="arrays have no names"):
        Folder(str(tmp_path), group="x").open()
    np.save(tmp_path / "valid.npy", noise(9, 8, 8))
    with pytest.raises(InvalidFolderError, match="two arrays of validation"):
        Folder(str(tmp_path)).open()
