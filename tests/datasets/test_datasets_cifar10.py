"""Cifar10: the binary files, the pickles that are never loaded, and the tar of either."""

import hashlib
import io
import pickle
import re
import struct
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from datasets import cifar10
from datasets.cifar10 import BINARY, PYTHON, Cifar10
from datasets.idx import InvalidArrayFileError
from datasets.options import InvalidOptionError
from datasets.pickled import array_bytes
from datasets.source import FatalError, MissingFilesError

COUNT = 20
OFFICIAL = dict(cifar10.MD5)  # before `small` replaces them


def old_string(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def old_pickle(rows: np.ndarray, *, columns_first: bool = False) -> bytes:
    """Return the dictionary of a batch as Python 2 and NumPy pickled it in 2009, protocol 2."""
    count = struct.pack("<H", len(rows))
    raw = rows.tobytes(order="F" if columns_first else "C")
    return (
        b"\x80\x02}q\x01(" + old_string(b"batch_label") + b"q\x02"
        + old_string(b"training batch 1 of 5") + b"q\x03"
        + old_string(b"labels") + b"q\x04]q\x05(" + b"K\x06K\x09" * (len(rows) // 2) + b"e"
        + old_string(b"data") + b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\n"
        + b"q\x08K\x00\x85U\x01b\x87Rq\x09(K\x01M" + count + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0a"
        + b"U\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x88" if columns_first else b"\x89")
        + b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
        + old_string(b"filenames") + b"q\x0c]q\x0d(" + old_string(b"camion_s_000148.png") + b"eu."
    )  # fmt: skip


def rows(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (COUNT, 3072), np.uint8)


BATCHES = {name: rows(number) for number, name in enumerate(cifar10.MD5)}
BINARIES = {
    f"{name}.bin": np.insert(batch, 0, np.arange(COUNT) % 10, axis=1).tobytes()
    for name, batch in BATCHES.items()
}
PICKLES = {name: old_pickle(batch) for name, batch in BATCHES.items()}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches of 20 images the official ones."""
    digests = {name: hashlib.md5(content).hexdigest() for name, content in PICKLES.items()}
    monkeypatch.setattr(cifar10, "PER_FILE", COUNT)
    monkeypatch.setattr(cifar10, "MD5", digests)


def write(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def write_tar(path: Path, folder: str, contents: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_binary_batches_are_planes_of_red_green_and_blue(tmp_path) -> None:
    write(tmp_path / "cifar-10-batches-bin", BINARIES)
    images = Cifar10(root=tmp_path).load()
    assert images.train.shape == (90, 3, 32, 32) and images.validation.shape == (10, 3, 32, 32)
    assert np.array_equal(images.test, BATCHES["test_batch"].reshape(-1, 3, 32, 32))
    green = images.test[3, 1, 5, 7]
    assert green == BATCHES["test_batch"][3, 1024 + 5 * 32 + 7]
    names = [f"data_batch_{number}" for number in range(1, 6)]
    every = {row.tobytes() for name in names for row in BATCHES[name]}
    assert {image.tobytes() for image in (*images.train, *images.validation)} == every
    assert len(every) == 100


@pytest.mark.parametrize("start", ["", "cifar10", "CIFAR10"])
@pytest.mark.parametrize("version", [BINARY, PYTHON])
@pytest.mark.parametrize("way", ["folder", "bare", "tar"])
def test_every_layout_gives_the_same_images(tmp_path, start, version, way) -> None:
    write(tmp_path / "plain" / "cifar-10-batches-bin", BINARIES)
    contents = BINARIES if version is BINARY else PICKLES
    root = tmp_path / "other"
    if way == "tar":
        write_tar(root / start / version.archive, version.folder, contents)
    else:
        write(root / start / ("" if way == "bare" else version.folder), contents)
    one, other = (Cifar10(root=path).load() for path in (tmp_path / "plain", root))
    assert one.data_hash == other.data_hash
    files = Cifar10(root=root).open().files
    assert len(files) == (1 if way == "tar" else 6)
    assert all((root / file.path).stat().st_size == file.size for file in files)


@pytest.mark.parametrize("columns_first", [False, True])
def test_the_bytes_of_a_pickle_are_what_loading_it_would_give(columns_first) -> None:
    batch = rows(9)
    program = old_pickle(batch, columns_first=columns_first)
    assert np.array_equal(array_bytes(program, batch.shape, "batch"), batch)
    # The miniature is a real pickle: Python and NumPy agree on it.
    state = pickle.loads(program, encoding="bytes")
    assert np.array_equal(state[b"data"], batch) and state[b"labels"][:2] == [6, 9]


class Trap:
    def __reduce__(self) -> tuple:
        return pytest.fail, ("a pickle was run",)


def test_a_pickle_with_another_md5_is_refused_and_never_run(tmp_path) -> None:
    trapped = pickle.dumps([Trap(), bytes(COUNT * 3072)])
    write(tmp_path / PYTHON.folder, PICKLES | {"data_batch_1": trapped})
    with pytest.raises(InvalidArrayFileError, match=r"data_batch_1 of .* has md5 .* instead of"):
        Cifar10(root=tmp_path).load()
    with pytest.raises(InvalidArrayFileError, match="does not hold one array"):
        array_bytes(trapped, (COUNT, 3072), "batch")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"", "is no pickle"),
        (b"\xff\xff", "is no pickle"),
        (PICKLES["data_batch_1"][:40_000], "is no pickle"),
        (old_pickle(rows(1)[:10]), "does not hold one array of 20x3072"),
        (old_pickle(rows(1))[:-1] + old_pickle(rows(1)), "does not hold one array of 20x3072"),
    ],
)
def test_other_pickles_are_refused(program, message) -> None:
    with pytest.raises(InvalidArrayFileError, match=message):
        array_bytes(program, (COUNT, 3072), "batch")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "has 61459 bytes instead of 61460"),
        (lambda data: data + b"\0", "has 61461 bytes instead of 61460"),
        (lambda data: b"\x0a" + data[1:], "has label 10, but CIFAR-10 has 0 to 9"),
        (lambda data: bytes(31_000_000), "has 31000000 bytes, more than the official file"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_binary_files_are_refused(tmp_path, change, message, packed) -> None:
    contents = BINARIES | {"data_batch_2.bin": change(BINARIES["data_batch_2.bin"])}
    if packed:
        write_tar(tmp_path / BINARY.archive, BINARY.folder, contents)
    else:
        write(tmp_path / BINARY.folder, contents)
    with pytest.raises(InvalidArrayFileError, match=f"data_batch_2.bin .*{message}") as caught:
        Cifar10(root=tmp_path).load()
    assert "\n" not in str(caught.value) and isinstance(caught.value, FatalError)


@pytest.mark.parametrize("kept", [0, 30, 20_000])
def test_a_truncated_tar_is_refused(tmp_path, kept) -> None:
    path = tmp_path / BINARY.archive
    write_tar(path, BINARY.folder, BINARIES)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidArrayFileError, match=r"cannot be read .*: get it again") as caught:
        Cifar10(root=tmp_path).load()
    assert "\n" not in str(caught.value)


def test_a_tar_that_lacks_a_batch_is_refused(tmp_path) -> None:
    less = {name: content for name, content in PICKLES.items() if name != "test_batch"}
    write_tar(tmp_path / PYTHON.archive, PYTHON.folder, less)
    with pytest.raises(InvalidArrayFileError, match="lacks test_batch"):
        Cifar10(root=tmp_path).load()


def test_missing_files_are_named_with_the_official_page(tmp_path) -> None:
    for root in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFilesError, match=r"cifar-10-binary\.tar\.gz.*cs\.toronto\.edu"):
            Cifar10(root=root).open()
    write(tmp_path / BINARY.folder, BINARIES)
    (tmp_path / BINARY.folder / "test_batch.bin").unlink()
    with pytest.raises(MissingFilesError, match=r"cifar10 needs test_batch\.bin"):
        Cifar10(root=tmp_path).open()


@pytest.mark.parametrize("options", [{"size": 28}, {"size": 32.0}, {"seed": -1}])
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(InvalidOptionError):
        Cifar10(**options)


def test_the_official_digests_are_those_torchvision_checks() -> None:
    package = find_spec("torchvision")
    assert package is not None and package.origin is not None
    # Read as text, since importing torchvision takes seconds.
    source = Path(package.origin).with_name("datasets").joinpath("cifar.py").read_text()
    table = dict(re.findall(r'\["(\w*_batch\w*)", "([0-9a-f]{32})"\]', source))
    assert table == OFFICIAL and len(OFFICIAL) == 6
