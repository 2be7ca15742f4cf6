"""Datasets that their owners hand out: fetched by `harness prepare` from a server of the test."""

import gzip
import hashlib
import io
import json
import logging
import os
import re
import struct
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from program import Harness, program

from datasets import cifar10, mnist
from harness import caching, components, dataset_files, download, manifest, origin
from harness import prepared as cache
from harness.dataset_files import DataFile, Published
from harness.engines import forkserver
from harness.errors import HarnessError

DATA = os.environ.get("HARNESS_DATA")
TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"


class Server(ThreadingHTTPServer):
    """Serves `files` by name, ending the next transfers early after `cuts` bytes."""

    files: dict[str, bytes]
    cuts: list[int]
    asked: list[str]  # what was asked for, with the first byte where that is not 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        server, name = self.server, self.path[1:]
        start = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
        server.asked.append(f"{name} from {start}" if start else name)
        if name not in server.files:
            return self.send_error(404)
        content = server.files[name]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: server.cuts.pop(0) if server.cuts else None])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.files, found.cuts, found.asked = {}, [], []
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Harness:
    """Call the program in an empty folder with a cache of its own and no data."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HARNESS_DATA", "HARNESS_PREPARED", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(forkserver, "warm_up", lambda: None)
    return program(monkeypatch, capsys)


def idx(count: int, seed: int) -> bytes:
    """The content of an idx file of digits."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    return struct.pack(">IIII", 0x0803, count, 28, 28) + pixels.tobytes()


@pytest.fixture
def digits(server: Server, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A small MNIST on the server; returns the pixels of its test."""
    contents = {TRAIN: idx(60, 1), TEST: idx(10, 2)}
    parts = {
        split: mnist.Part(name[:-3], count, hashlib.md5(contents[name]).hexdigest())
        for split, name, count in (("train", TRAIN, 60), ("test", TEST, 10))
    }
    monkeypatch.setattr(mnist, "IDX", parts)
    server.files |= {name: gzip.compress(content) for name, content in contents.items()}
    publish(server, monkeypatch, "mnist", [TRAIN, TEST], ("binarise", "larochelle"))
    return np.frombuffer(contents[TEST], np.uint8, offset=16).reshape(10, 1, 28, 28)


def publish(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str, files: list[str], *unless: Any
) -> None:
    made = tuple(
        DataFile(server.url(f), len(server.files[f]), hashlib.sha256(server.files[f]).hexdigest())
        for f in files
    )
    monkeypatch.setitem(dataset_files.TABLE, name, Published(made, *unless))


def place_of(spec: str) -> Path:
    return manifest.target(components.resolve("dataset", spec))


def downloads(name: str = "mnist") -> Path:
    return dataset_files.place(components.resolve("dataset", name))


def present() -> list[str]:
    return sorted(path.name for path in downloads().iterdir())


def store(server: Server, folder: Path) -> Path:
    """Put the server's files into a folder of the user's."""
    folder.mkdir()
    for name, content in server.files.items():
        (folder / name).write_bytes(content)
    return folder


def refused(found: SimpleNamespace) -> str:
    """Return the one sentence of an error of the user's."""
    assert found.code == 2 and found.err.count("\n") == 1, found.err
    return str(found.err).strip().removeprefix("error: ")


def test_every_address_is_official_and_every_digest_whole() -> None:
    homes = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://www.cs.toronto.edu/~kriz/")
    for name, row in dataset_files.TABLE.items():
        assert name in components.registry("dataset") and row.files
        for file in row.files:
            assert file.url.startswith(homes) and re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size > 2**20
    assert f"{cifar10.BINARY.archive}" == dataset_files.TABLE["cifar10"].files[0].name
    names = [f"{part.name}.gz" for part in mnist.IDX.values()]
    assert [file.name for file in dataset_files.TABLE["mnist"].files] == names


def test_the_digest_of_mnists_test_is_that_of_the_file() -> None:
    path = Path(DATA or "", "mnist", TEST)
    if not path.is_file():
        pytest.skip("HARNESS_DATA is not set, or holds no gzipped MNIST")
    file, content = dataset_files.TABLE["mnist"].files[1], path.read_bytes()
    # as torchvision states it for the same address
    assert hashlib.md5(content).hexdigest() == "9fb629c4189551a2d022fa330f9573f3"
    assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)


def test_what_is_missing_is_fetched_once_and_prepared(
    harness: Harness, server: Server, digits: np.ndarray, tmp_path: Path
) -> None:
    found = harness("prepare", "mnist")
    assert found.code == 0 and "mnist28: ready" in found.out
    assert server.asked == [TRAIN, TEST]
    assert downloads() == tmp_path / "cache" / "vae-loss-harness" / "downloads" / "mnist"
    assert present() == [TEST, TRAIN]
    assert np.array_equal(np.load(place_of("mnist") / "test.npy"), digits)
    assert harness("prepare", "mnist", "mnist[size=32]").code == 0  # of the same files
    assert harness("prepare", "mnist", "--verify").code == 0
    assert len(server.asked) == 2
    for path in downloads().iterdir():  # a prepared dataset needs its files no more
        path.unlink()
    assert harness("prepare", "mnist").code == 0 and present() == []


def test_the_tar_of_cifar10_is_fetched_and_read_as_it_is(
    harness: Harness, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "PER_FILE", 4)
    rows = np.random.default_rng(3).integers(0, 256, (6, 4, 3073), np.uint8)
    rows[:, :, 0] = 7
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, batch in zip(cifar10.MD5, rows, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = batch.nbytes
            tar.addfile(member, io.BytesIO(batch.tobytes()))
    server.files["cifar-10-binary.tar.gz"] = packed.getvalue()
    publish(server, monkeypatch, "cifar10", ["cifar-10-binary.tar.gz"])
    assert harness("prepare", "cifar10").code == 0
    test = np.load(place_of("cifar10") / "test.npy")
    assert np.array_equal(test, rows[5, :, 1:].reshape(4, 3, 32, 32))


def test_a_wrong_file_is_kept_aside(harness: Harness, server: Server, digits: np.ndarray) -> None:
    right = server.files[TEST]
    server.files[TEST] = b"abc"  # FIPS 180-2's: ba7816bf
    told = refused(harness("prepare", "mnist"))
    assert told.startswith(f"{server.url(TEST)} gave a file whose sha256 starts with ba7816bf")
    assert present() == [f"{TEST}.wrong-ba7816bf", TRAIN]
    assert not place_of("mnist").exists()
    server.files[TEST] = right
    assert harness("prepare", "mnist").code == 0
    assert server.asked == [TRAIN, TEST, TEST]


def test_a_cut_transfer_goes_on_with_the_next_command(
    harness: Harness, server: Server, digits: np.ndarray
) -> None:
    server.cuts = [1000, 10, 10, 10, 10]
    assert "was cut off 5 times" in refused(harness("prepare", "mnist"))
    assert present() == [f"{TRAIN}.part"]
    server.asked.clear()
    assert harness("prepare", "mnist").code == 0
    assert server.asked == [f"{TRAIN} from 1040", TEST]


def test_an_interrupt_keeps_what_came(
    harness: Harness, server: Server, digits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    server.cuts = [1000]
    with monkeypatch.context() as patch:
        patch.setattr(download.time, "sleep", stop)
        found = harness("prepare", "mnist")
    assert found.code == 130 and "what was fetched and decoded is kept" in found.err
    assert harness("prepare", "mnist").code == 0
    assert server.asked == [TRAIN, f"{TRAIN} from 1000", TEST]


def test_without_a_connection_one_sentence_says_what_to_do(
    harness: Harness, server: Server, digits: np.ndarray
) -> None:
    url = server.url(TRAIN)
    server.shutdown()
    server.server_close()
    sentence = rf"{url} could not be reached \(.*\): get it elsewhere, then: "
    told = refused(harness("prepare", "mnist[size=32]"))
    assert re.fullmatch(sentence + "harness prepare mnist32 --from FOLDER", told)
    assert not place_of("mnist").parent.exists()


def test_the_files_of_the_user_come_first(
    harness: Harness,
    server: Server,
    digits: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = store(server, tmp_path / "mine")
    assert harness("prepare", "mnist", "--from", str(folder)).code == 0
    monkeypatch.setenv("HARNESS_DATA", str(folder))
    assert harness("prepare", "mnist[size=32]").code == 0
    roots = {found.root for spec in ("mnist", "mnist[size=32]") if (found := read(spec))}
    assert roots == {str(folder)} and server.asked == []
    (folder / TEST).unlink()  # a folder that was named is never filled up
    told = refused(harness("prepare", "mnist[seed=1]", "--from", str(folder)))
    assert "t10k-images-idx3-ubyte, which is not in" in told and server.asked == []
    assert harness("prepare", "mnist[seed=1]").code == 0  # with HARNESS_DATA it is looked for
    assert server.asked == [TRAIN, TEST]


def read(spec: str) -> manifest.Manifest | None:
    return manifest.read(place_of(spec))


def test_files_in_harness_data_that_are_damaged_are_said_and_not_replaced(
    harness: Harness,
    server: Server,
    digits: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = store(server, tmp_path / "mine")
    (folder / TEST).write_bytes(b"abc")
    monkeypatch.setenv("HARNESS_DATA", str(folder))
    found = harness("prepare", "mnist")
    assert found.code == 2 and "less than an idx header" in found.err
    assert server.asked == []


def test_what_was_prepared_from_a_folder_stays_so_beside_fetched_files(
    harness: Harness,
    server: Server,
    digits: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert harness("prepare", "mnist[size=32]").code == 0
    folder = store(server, tmp_path / "mine")
    assert harness("prepare", "mnist", "--from", str(folder)).code == 0
    with caplog.at_level(logging.WARNING):
        found = cache.ready(components.resolve("dataset", "mnist"))
    assert found.root == str(folder) and caplog.text == ""


def test_a_run_fetches_nothing_and_names_the_command(
    harness: Harness, server: Server, digits: np.ndarray, tmp_path: Path
) -> None:
    small = ["--loss", "l2", "--model", "conv4[width=4,mlp=16]", "--set", "batch=4"]
    for more in ([], ["-n"]):
        told = refused(harness("run", *small, "--dataset", "mnist", *more))
        assert "mnist needs train-images-idx3-ubyte" in told
        assert told.endswith(", or: harness prepare mnist28")
    told = refused(harness("run", *small, "--dataset", "celeba64"))
    assert told.endswith(", then: harness prepare celeba64 --from FOLDER")
    assert server.asked == [] and not (tmp_path / "results").exists()
    # what prepare fetched is found, as a run looks for it, for another variant too
    assert harness("prepare", "mnist").code == 0
    component = components.resolve("dataset", "mnist[size=32]")
    assert cache.ready(component).root == str(downloads())
    assert server.asked == [TRAIN, TEST]


def test_a_fetched_file_that_changed_is_not_used_but_fetched_anew(
    harness: Harness, server: Server, digits: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    assert harness("prepare", "mnist").code == 0
    content = bytearray(server.files[TEST])
    content[-1] ^= 1  # of the same size
    (downloads() / TEST).write_bytes(content)
    component = components.resolve("dataset", "mnist[size=32]")
    with pytest.raises(origin.MissingDatasetError, match="or: harness prepare"):
        cache.ready(component)
    assert cache.ready(components.resolve("dataset", "mnist"))  # whole, so it needs no files
    assert harness("prepare", "mnist").code == 0 and len(server.asked) == 2
    assert harness("prepare", "mnist[size=32]").code == 0
    assert server.asked == [TRAIN, TEST, TEST]
    wrong = hashlib.sha256(content).hexdigest()[:8]
    assert present() == [TEST, f"{TEST}.wrong-{wrong}", TRAIN]
    assert "is not the file of mnist: kept as" in caplog.text


def test_nothing_is_fetched_before_every_dataset_is_found(
    harness: Harness, server: Server, digits: np.ndarray
) -> None:
    assert "celeba64" in refused(harness("prepare", "mnist", "celeba64"))
    assert server.asked == [] and not downloads().exists()


def test_what_has_no_plain_address_is_not_fetched(
    harness: Harness, server: Server, digits: np.ndarray
) -> None:
    told = refused(harness("prepare", "mnist[binarise=larochelle]"))
    assert "binarized_mnist_train.amat" in told and "larocheh" in told
    assert told.endswith("harness prepare 'mnist28[binarise=larochelle]' --from FOLDER")
    for name in ("celeba64", "celebahq256", "hcp64", "fairface64", "cifar10-jpeg"):
        assert dataset_files.published(components.resolve("dataset", name)) is None
        assert refused(harness("prepare", name)).endswith(f"harness prepare {name} --from FOLDER")
    assert server.asked == []
    assert dataset_files.advice(components.resolve("dataset", "folder:x")) == ""


def test_the_list_names_the_command_and_its_size(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (None, tmp_path):
        if folder is not None:
            monkeypatch.setenv("HARNESS_DATA", str(folder))
        records = json.loads(harness("list", "datasets", "--json").out)
        states = {record["name"]: record["state"] for record in records}
        assert states["mnist"] == "missing: harness prepare mnist (11 MiB)"
        assert states["cifar10"] == "missing: harness prepare cifar10 (162 MiB)"
        assert states["celeba64"].endswith("then: harness prepare celeba64 --from FOLDER")


def test_the_list_finds_what_was_fetched(
    harness: Harness, server: Server, digits: np.ndarray
) -> None:
    dataset_files.fetch(components.resolve("dataset", "mnist"))
    state = f"found in {downloads()}: harness prepare mnist, or just run"
    assert caching.state("mnist") == state
    assert harness("prepare", "mnist").code == 0 and caching.state("mnist") == "ready"


def test_progress_is_told_by_file(harness: Harness, server: Server, digits: np.ndarray) -> None:
    told: dict[str, tuple[int, int | None]] = {}
    caching.fetch_datasets(["mnist"], tell=lambda name, *rest: told.__setitem__(name, rest))
    assert told == {name: (len(server.files[name]),) * 2 for name in (TRAIN, TEST)}
    with pytest.raises(HarnessError, match="unknown dataset"):
        caching.fetch_datasets(["nothere"])
