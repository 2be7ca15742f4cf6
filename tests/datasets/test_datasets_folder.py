"""Folder: which files become which images of which split."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.folder import Folder
from datasets.images import Images
from datasets.options import InvalidOptionError
from datasets.splitting import TooFewImagesError, cut
from datasets.tree import InvalidFolderError


def save(path: Path, value: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    """Write an image all of whose samples are `value`, which then identifies it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    return path


def values(pixels: np.ndarray) -> list[int]:
    return pixels[:, 0, 0, 0].tolist()


def every_value(images: Images) -> list[int]:
    return [value for split in all_values(images) for value in split]


def all_values(images: Images) -> list[list[int]]:
    return [values(split) for split in (images.train, images.validation, images.test)]


def test_a_flat_folder_is_cut_80_10_10_and_nothing_is_lost(tmp_path) -> None:
    for index in range(40):
        save(tmp_path / f"{index % 3}" / f"{index}.png", index)
    images = Folder(str(tmp_path)).load()
    train, validation, test = all_values(images)
    assert [len(train), len(validation), len(test)] == [32, 4, 4]
    assert sorted(train + validation + test) == list(range(40))
    assert images.train.shape[1:] == Folder(str(tmp_path)).image_shape() == (3, 8, 8)
    assert images.train.flags.c_contiguous and "train 40" in images.description
    assert str(tmp_path.parent) not in images.description


def test_the_hash_is_golden_and_ignores_where_the_folder_lies(tmp_path) -> None:
    for place in ("here", "there/deeper"):
        for index in range(12):
            save(tmp_path / place / f"{index:02}.png", 20 * index)
    loads = [Folder(str(tmp_path / place)).load() for place in ("here", "there/deeper", "here")]
    assert {images.data_hash for images in loads} == {
        "4acdacf25edcb6da786fe9e66afe912f3eb7bf934e9af6213fcf02d5a662e365"
    }
    assert all_values(Folder(str(tmp_path / "here"), seed=1).load()) != all_values(loads[0])


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_subfolders_are_the_splits(tmp_path, name) -> None:
    for index in range(30):
        folder = "train" if index < 20 else name if index < 25 else "test"
        save(tmp_path / folder / "class" / f"{index}.png", index)
    train, validation, test = all_values(Folder(str(tmp_path)).load())
    assert sorted(train) == list(range(20)) and train != sorted(train)
    assert sorted(validation) == list(range(20, 25)) and sorted(test) == list(range(25, 30))


@pytest.mark.parametrize(
    ("present", "sizes"), [("test", [18, 2, 5]), ("val", [18, 5, 2]), (None, [16, 2, 2])]
)
def test_a_missing_split_is_a_tenth_of_train(tmp_path, present, sizes) -> None:
    for index in range(20):
        save(tmp_path / "train" / f"{index}.png", index)
    for index in range(20, 25 if present else 20):
        save(tmp_path / str(present) / f"{index}.png", index)
    images = Folder(str(tmp_path)).load()
    assert [len(split) for split in all_values(images)] == sizes
    assert sorted(every_value(images)) == list(range(25 if present else 20))


def test_copies_of_an_image_stay_on_one_side(tmp_path) -> None:
    for index in range(60):
        value = index // 3
        suffix = "png" if index % 2 else "bmp"  # equal pixels in unequal files
        save(tmp_path / f"{index}.{suffix}", value)
    for seed in range(5):
        sides = [set(split) for split in all_values(Folder(str(tmp_path), seed=seed).load())]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        assert [len(side) for side in sides] == [16, 2, 2]


def test_cut_takes_the_last_tenths_of_one_permutation() -> None:
    digests = np.arange(30, dtype=np.uint8)[:, None]
    both = cut(np.arange(30), ["validation", "test"], 3, digests)
    one = cut(np.arange(30), ["validation"], 3, digests)
    assert one["validation"].tolist() == both["test"].tolist()
    assert one["train"].tolist() == [*both["train"], *both["validation"]]


def test_images_of_one_group_stay_on_one_side(tmp_path) -> None:
    for index in range(60):
        save(tmp_path / f"{index % 2}" / f"p{index // 3}_{index}.png", index)
    for seed in range(3):
        folder = Folder(str(tmp_path), seed=seed, group=r"p(\d+)_")
        sides = [{value // 3 for value in split} for split in all_values(folder.load())]
        assert [len(side) for side in sides] == [16, 2, 2]
        assert len(set.union(*sides)) == 20
    whole = Folder(str(tmp_path), group=r"^\d(?=/)")  # the match itself: two groups
    with pytest.raises(TooFewImagesError, match="too few groups of images, 2"):
        whole.load()


def test_a_name_without_a_group_is_named(tmp_path) -> None:
    for index in range(12):
        save(tmp_path / f"p{index}.png", index)
    save(tmp_path / "stray.png", 99)
    with pytest.raises(InvalidOptionError, match=r"finds nothing in 'stray\.png'"):
        Folder(str(tmp_path), group=r"p(\d+)").open()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_distinct_images(tmp_path, count) -> None:
    for index in range(6):
        save(tmp_path / f"{index}.png", index % count)
    with pytest.raises(TooFewImagesError, match=f"too few distinct images, {count}"):
        Folder(str(tmp_path)).load()


def test_three_images_give_every_split_one(tmp_path) -> None:
    for index in range(3):
        save(tmp_path / f"{index}.png", index)
    assert [len(split) for split in all_values(Folder(str(tmp_path)).load())] == [1, 1, 1]


def test_images_outside_the_split_folders_are_reported(tmp_path, caplog) -> None:
    for index in range(12):
        save(tmp_path / "train" / f"{index}.png", index)
    save(tmp_path / "stray.png", 99)
    with caplog.at_level(logging.WARNING):
        assert 99 not in every_value(Folder(str(tmp_path)).load())
    assert "1 images outside" in caplog.text


def test_ambiguous_split_folders_are_refused(tmp_path) -> None:
    save(tmp_path / "one" / "test" / "a.png", 1)
    with pytest.raises(InvalidFolderError, match="a test folder without a train folder"):
        Folder(str(tmp_path / "one")).load()
    for name in ("train", "val", "valid"):
        save(tmp_path / "two" / name / "a.png", 1)
    with pytest.raises(InvalidFolderError, match="'valid' is a second validation split"):
        Folder(str(tmp_path / "two")).load()


def test_hidden_and_foreign_files_are_passed_over(tmp_path) -> None:
    for index in range(12):
        save(tmp_path / f"{index}.PNG", index)
    (tmp_path / "._0.png").write_bytes(b"resource fork")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    assert sum(map(len, all_values(Folder(str(tmp_path)).load()))) == 12


def test_missing_empty_and_file_are_one_clear_sentence(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_text("x")
    for name, message in (
        ("none", "no folder .*none"),
        ("empty", "no image below .*empty"),
        ("file.png", "file.png is a file"),
    ):
        for method in ("load", "image_shape"):
            with pytest.raises(InvalidFolderError, match=message):
                getattr(Folder(str(tmp_path / name)), method)()


def test_the_present_folder_is_a_folder(tmp_path, monkeypatch) -> None:
    for index in range(12):
        save(tmp_path / "a" / f"{index}.png", index)
    (tmp_path / "a" / "0.png").rename(tmp_path / "0.png")
    monkeypatch.chdir(tmp_path)
    source = Folder(".").open()
    assert [source.name(index) for index in (0, 1)] == ["0.png", "a/1.png"]


def test_links_in_a_circle_are_refused_and_other_links_followed(tmp_path) -> None:
    root = tmp_path / "root"
    for index in range(12):
        save(tmp_path / "elsewhere" / f"{index}.png", index)
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert sum(map(len, all_values(Folder(str(root)).load()))) == 12
    (tmp_path / "elsewhere" / "up").symlink_to(root, target_is_directory=True)
    with pytest.raises(InvalidFolderError, match="links back to a folder it lies in"):
        Folder(str(root)).load()
    (tmp_path / "elsewhere" / "up").unlink()
    (root / "self").symlink_to(root / "self")
    with pytest.raises(InvalidFolderError, match="repair its links"):
        Folder(str(root)).load()


@pytest.mark.parametrize(
    "options",
    [
        {"size": 7},
        {"size": 2049},
        {"channels": 2},
        {"channels": True},
        {"seed": -1},
        {"path": ""},
        {"crop": 7},
        {"group": "("},
        {"group": 3},
    ],
)
def test_bad_options_are_refused_before_any_file_is_read(options) -> None:
    with pytest.raises(InvalidOptionError):
        Folder(**{"path": "does-not-exist", **options})


def test_a_folder_of_arrays_says_which_to_name(tmp_path: Path) -> None:
    np.save(tmp_path / "all.npy", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(InvalidFolderError, match=r"1 .npy files such as all.npy: name one file"):
        Folder(str(tmp_path), size=8).open()
