"""Mnist: idx and amat files in every layout, binarised and padded, and every damage to them."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from datasets import mnist
from datasets.idx import InvalidArrayFileError
from datasets.images import Images
from datasets.mnist import Mnist, Part
from datasets.options import InvalidOptionError
from datasets.source import FatalError, MissingFilesError

TRAIN, TEST = 40, 6


def idx(images: np.ndarray, magic: int = 2051) -> bytes:
    return struct.pack(">4i", magic, *images.shape) + images.tobytes()


def digits(count: int, seed: int) -> np.ndarray:
    """Return images whose first pixel numbers them."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(count)
    return images


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Make 40 + 6 random images the official ones."""
    found = {"train": digits(TRAIN, 1), "test": digits(TEST, 2)}
    parts = {
        split: Part(mnist.IDX[split].name, len(images), hashlib.md5(idx(images)).hexdigest())
        for split, images in found.items()
    }
    monkeypatch.setattr(mnist, "IDX", parts)
    return found


def write(folder: Path, contents: dict[str, np.ndarray], ending: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, images in contents.items():
        data = idx(images)
        path = folder / (mnist.IDX[split].name + ending)
        path.write_bytes(gzip.compress(data) if ending == ".gz" else data)


def test_splits_are_official_and_a_tenth_of_train(tmp_path, contents) -> None:
    write(tmp_path, contents)
    images = Mnist(root=tmp_path).load()
    assert images.train.shape == (36, 1, 28, 28) and images.validation.shape == (4, 1, 28, 28)
    assert np.array_equal(images.test[:, 0], contents["test"])
    both = np.concatenate([images.train, images.validation])[:, 0]
    numbers = both[:, 0, 0]
    assert sorted(numbers) == list(range(TRAIN)) and list(numbers) != list(range(TRAIN))
    assert np.array_equal(both, contents["train"][numbers])
    other = Mnist(root=tmp_path, seed=1).load()
    assert not np.array_equal(other.validation, images.validation)
    assert np.array_equal(other.test, images.test) and not images.stochastic


@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw", "raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_layout_gives_the_same_images(tmp_path, contents, folder, ending) -> None:
    write(tmp_path / "flat", contents)
    write(tmp_path / "other" / folder, contents, ending)
    one, other = Mnist(root=tmp_path / "flat"), Mnist(root=tmp_path / "other")
    assert one.load().data_hash == other.load().data_hash
    state = other.open().files[0]
    assert (tmp_path / "other" / state.path).stat().st_size == state.size
    assert (tmp_path / "other" / state.path).stat().st_mtime_ns == state.changed


def test_the_names_with_a_dot_are_read_too(tmp_path, contents) -> None:
    write(tmp_path, contents)
    expected = Mnist(root=tmp_path).load().data_hash
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    assert Mnist(root=tmp_path).load().data_hash == expected


def test_padding_puts_two_black_pixels_around(tmp_path, contents) -> None:
    write(tmp_path, contents)
    small, large = (Mnist(root=tmp_path, size=size).load() for size in (28, 32))
    assert Mnist(size=32).image_shape() == large.train.shape[1:] == (1, 32, 32)
    assert np.array_equal(large.train[:, :, 2:30, 2:30], small.train)
    assert large.train.sum() == small.train.sum()


def test_threshold_is_white_from_128_on(tmp_path, contents) -> None:
    write(tmp_path, contents)
    grey = Mnist(root=tmp_path).load()
    binary = Mnist(root=tmp_path, binarise="threshold").load()
    for split in ("train", "validation", "test"):
        expected = np.where(getattr(grey, split) / 255 > 0.5, 255, 0)
        assert np.array_equal(getattr(binary, split), expected)
    assert binary.validation.shape == grey.validation.shape and not binary.stochastic


def test_dynamic_keeps_train_grey_and_draws_the_rest_once(tmp_path, contents) -> None:
    write(tmp_path, contents)
    grey = Mnist(root=tmp_path).load()
    drawn, again, other = (
        Mnist(root=tmp_path, binarise="dynamic", seed=seed).load() for seed in (0, 0, 1)
    )
    assert drawn.stochastic and np.array_equal(drawn.train, grey.train)
    assert drawn.data_hash == again.data_hash
    assert not np.array_equal(drawn.test, other.test)
    for split in ("validation", "test"):
        pixels, levels = getattr(drawn, split), getattr(grey, split)
        assert set(np.unique(pixels)) == {0, 255}
        assert (pixels[levels == 255] == 255).all() and (pixels[levels == 0] == 0).all()
    assert not np.array_equal(drawn.test[0], drawn.test[1])
    padded = Mnist(root=tmp_path, binarise="dynamic", size=32).load()
    assert np.array_equal(padded.test[:, :, 2:30, 2:30], drawn.test)


def test_dynamic_draws_white_with_the_grey_values_probability(tmp_path, monkeypatch) -> None:
    levels = np.full((60, 28, 28), 51, np.uint8)  # probability 0.2
    levels[:, :7], levels[:, 7:14] = 0, 255
    monkeypatch.setattr(
        mnist,
        "IDX",
        {
            split: Part(part.name, 60, hashlib.md5(idx(levels)).hexdigest())
            for split, part in mnist.IDX.items()
        },
    )
    write(tmp_path, {"train": levels, "test": levels})
    drawn = Mnist(root=tmp_path, binarise="dynamic").load().test[:, 0]
    assert not drawn[:, :7].any() and (drawn[:, 7:14] == 255).all()
    share = drawn[:, 14:].mean() / 255
    assert share == pytest.approx(0.2, abs=4 * (0.16 / drawn[:, 14:].size) ** 0.5)


@pytest.fixture
def amat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Make small .amat files the official ones and write them."""
    names = {"train": "train", "validation": "valid", "test": "test"}
    images, parts = {}, {}
    for number, (split, word) in enumerate(names.items()):
        images[split] = digits(5 + number, number) % 2
        parts[split] = Part(f"binarized_mnist_{word}.amat", 5 + number)
        np.savetxt(tmp_path / parts[split].name, images[split].reshape(-1, 784), fmt="%d")
    monkeypatch.setattr(mnist, "AMAT", parts)
    return images


@pytest.mark.parametrize("blanks", ["plain", "trailing", "windows", "no last newline"])
def test_larochelles_files_keep_their_three_splits(tmp_path, amat, blanks) -> None:
    for path in tmp_path.iterdir():
        text = path.read_bytes()
        changes = {
            "plain": text,
            "trailing": text.replace(b"\n", b" \n"),
            "windows": text.replace(b"\n", b"\r\n"),
            "no last newline": text.rstrip(),
        }
        path.write_bytes(changes[blanks])
    found = Mnist(root=tmp_path, binarise="larochelle").load()
    for split, images in amat.items():
        assert np.array_equal(getattr(found, split)[:, 0], images * 255)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b"1", b"2", 1), "more than single 0s and 1s"),
        (lambda text: text.replace(b"0 ", b"00", 1), "more than single 0s and 1s"),
        (lambda text: text[:-200], "a line of 6.. pixels instead of 5 lines of 784"),
        (lambda text: text[: len(text) // 5], "1 lines instead of 5 lines"),
        (lambda text: b"", "0 lines instead of 5 lines"),
        (lambda text: text + b"0 1\n", "a line of 2 pixels"),
    ],
)
def test_damaged_amat_files_are_refused(tmp_path, amat, change, message) -> None:
    path = tmp_path / "binarized_mnist_train.amat"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InvalidArrayFileError, match=message):
        Mnist(root=tmp_path, binarise="larochelle").load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "holds less than the 31376 bytes"),
        (lambda data: data + b"\0", "holds more than the 31376 bytes"),
        (lambda data: data[:7], "holds 7 bytes, less than an idx header"),
        (lambda data: b"", "holds 0 bytes"),
        (lambda data: struct.pack(">i", 2049) + data[4:], "begins with 0x00000801 instead of"),
        (lambda data: data[:4] + struct.pack(">i", 39) + data[8:], "39 images of 28x28 instead"),
        (lambda data: data[:8] + struct.pack(">i", 27) + data[12:], "40 images of 27x28 instead"),
        (lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:], "has md5 .* instead of"),
        (lambda data: gzip.compress(data)[:-20], "cannot be read .*: get it again"),
        (lambda data: gzip.compress(data)[:50], "cannot be read .*: get it again"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "cannot be read .*: get it again"),
        (lambda data: b"\x1f\x8b" + bytes(60), "cannot be read .*: get it again"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, contents, change, message) -> None:
    write(tmp_path, contents)
    path = tmp_path / mnist.IDX["train"].name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InvalidArrayFileError, match=message) as caught:
        Mnist(root=tmp_path).load()
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, FatalError)


def test_missing_files_are_named_with_the_official_page(tmp_path, contents) -> None:
    for root in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFilesError, match=r"train-images-idx3-ubyte.*yann\.lecun\.com"):
            Mnist(root=root).open()
    with pytest.raises(MissingFilesError, match=r"binarized_mnist_train\.amat.*larocheh"):
        Mnist(root=tmp_path, binarise="larochelle").open()
    write(tmp_path, contents)
    (tmp_path / mnist.IDX["test"].name).unlink()
    with pytest.raises(MissingFilesError, match="mnist needs t10k-images-idx3-ubyte, which is not"):
        Mnist(root=tmp_path).open()


@pytest.mark.parametrize(
    "options", [{"size": 30}, {"size": True}, {"binarise": "otsu"}, {"seed": -1}, {"seed": "0"}]
)
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(InvalidOptionError):
        Mnist(**options)


@pytest.fixture(scope="module")
def real() -> Images:
    folder = os.environ.get("HARNESS_DATA")
    if not folder or not Path(folder, "mnist").is_dir():
        pytest.skip("HARNESS_DATA has no mnist folder")
    return Mnist(root=Path(folder)).load()


def test_the_real_digits_have_their_known_mean_and_spread(real) -> None:
    assert [len(real.train), len(real.validation), len(real.test)] == [54_000, 6_000, 10_000]
    parts = np.array_split(np.concatenate([real.train, real.validation]), 60)
    counts = sum(np.bincount(part.ravel(), minlength=256) for part in parts)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    spread = np.average((values - mean) ** 2, weights=counts) ** 0.5
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert spread == pytest.approx(0.3081, abs=5e-5)
    # The first of the official test is a seven, its brightest row the bar at the top.
    assert real.test[0, 0].sum(axis=1).argmax() in (8, 9)


def test_no_two_of_the_real_digits_are_equal(real) -> None:
    every = np.concatenate([real.train, real.validation, real.test])
    assert len({image.tobytes() for image in every}) == 70_000
