"""Pretrained weights: found, verified, fetched from a server on this machine, and listed."""

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness import download, preparing, weights
from harness.download import set_aside
from harness.errors import HarnessError
from harness.weight_files import TABLE, Pretrained, WeightFile

CONTENT = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /file, ending early where told to."""

    content = CONTENT
    cuts: list[int]  # bytes after which each next transfer ends
    ranges = True
    busy = 0  # answers of 503 to give first
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.busy:
            server.busy -= 1
            return self.send_error(503)
        if self.path != "/file":
            return self.send_error(404)
        start = int(re.findall(r"\d+", asked)[0]) if asked and server.ranges else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.cuts, found.asked = [], []
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_WEIGHTS", str(tmp_path / "given"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    (tmp_path / "given").mkdir()


@pytest.fixture
def row(server: Server, monkeypatch: pytest.MonkeyPatch) -> Pretrained:
    """Weights `net`, of which the server has the file."""
    files = (WeightFile("net.pth", DIGEST), WeightFile("net.safetensors", "ba7816bf"))
    made = Pretrained("net", files, "MIT (nobody)", len(CONTENT), server.url)
    monkeypatch.setitem(TABLE, "net", made)
    return made


def place() -> Path:
    return weights.downloads()


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_row_names_its_files_and_official_address() -> None:
    hosts = {
        "download.pytorch.org",
        "github.com/mseitzer/pytorch-fid",
        "raw.githubusercontent.com/SteffenCzolbe/PerceptualSimilarity",
        "raw.githubusercontent.com/dingkeyan93/DISTS",
        "web.eecs.umich.edu/~justincj/models",
    }
    for name, made in TABLE.items():
        assert made.name == name and made.files and made.licence
        assert made.url is None or any(made.url.startswith(f"https://{host}/") for host in hosts)
        assert made.url is None or made.size or name == "vgg19-caffe"  # its size is unpublished
        for file in made.files:
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{8}([0-9a-f]{56})?", file.sha256)
            # torchvision and pytorch-fid write the first eight digits into the name
            stated = re.search(r"-([0-9a-f]{8})\.pth$", file.name)
            assert stated is None or str(file.sha256).startswith(stated[1])


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("watson-dft-rgb", "98386c0e"),
        ("watson-dft-gray", "74fda350"),
        ("watson-dct-rgb", "bde40e0b"),
        ("watson-dct-gray", "6401e9d3"),
        ("squeezenet", "b8a52dc0"),
        ("alexnet", "7be5be79"),
        ("vgg16", "397923af"),
        ("vgg19", "dcbb9e9d"),
        ("inception", "6726825d"),
    ],
)
def test_digests_begin_as_the_authors_state(name: str, digits: str) -> None:
    assert str(TABLE[name].files[0].sha256).startswith(digits)


def test_the_table_has_every_name_that_a_loss_asks_for() -> None:
    import losses

    asked = set()
    for name, options in [
        *(("lpips", {"net": net}) for net in ("vgg", "alex", "squeeze")),
        *((name, {}) for name in ("vgg", "squeeze", "dists")),
        *(("dfc", {"backbone": backbone}) for backbone in ("torchvision", "caffe")),
    ]:
        for channels in (1, 3):
            asked |= set(losses.find(name).required(channels, **options))
    assert asked <= set(weights.FILES)
    assert {"vgg19", "deeploss-squeeze-gray", "dists", "lpips-alex"} <= asked


def test_the_wheel_of_lpips_brings_its_linear_weights_and_is_not_imported() -> None:
    code = (
        "import sys; from harness import weights; "
        "names = ['lpips-alex', 'lpips-vgg', 'lpips-squeeze']; "
        "assert weights.missing(names) is None; print(*weights.available()); "
        "assert not {'lpips', 'torch', 'pandas'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["lpips-alex", "lpips-vgg", "lpips-squeeze"]


def test_one_file_of_watsons_answers_for_all_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "given" / "watson_czolbe2020.safetensors"
    path.write_bytes(b"")
    names = [f"watson-{kind}-{colour}" for kind in ("dft", "dct") for colour in ("rgb", "gray")]
    assert [weights.find(name) for name in names] == [path] * 4
    assert not set(names) & set(weights.available())  # an empty file is not it


def test_given_folders_come_before_torchs_cache(tmp_path: Path, row: Pretrained) -> None:
    given, explicit = tmp_path / "given", tmp_path / "explicit"
    for folder in (place(), given, explicit):
        folder.mkdir(parents=True, exist_ok=True)
    (place() / "net.pth").write_bytes(CONTENT)
    assert weights.find("net") == place() / "net.pth"
    (given / "net.safetensors").write_bytes(b"abc")
    assert weights.find("net") == given / "net.safetensors"
    (explicit / "net.pth").write_bytes(CONTENT)
    assert weights.find("net", explicit) == explicit / "net.pth"
    assert weights.available()["net"] == given / "net.safetensors"  # FIPS 180-2's abc: ba7816bf


def test_a_wrong_file_is_refused_and_stays(tmp_path: Path, row: Pretrained) -> None:
    path = tmp_path / "given" / "net.pth"
    path.write_bytes(b"abc")
    sentence = (
        f"{path} is not the net weights: its sha256 starts with ba7816bf, not {DIGEST[:8]}: "
        "replace it"
    )
    with pytest.raises(HarnessError, match=f"^{re.escape(sentence)}$"):
        weights.verify("net", path)
    assert "net" not in weights.available()
    assert weights.missing(["net"]) == sentence
    with pytest.raises(HarnessError, match="is not the net weights"):
        weights.fetch(["net"])
    assert path.read_bytes() == b"abc"
    # also where the user's folder is the one that downloads go to
    with pytest.raises(HarnessError, match="is not the net weights"):
        weights.fetch(["net"], folder=tmp_path / "given")
    assert parts(tmp_path / "given") == ["net.pth"]


def test_what_is_missing_is_said_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert weights.missing(["lpips-vgg"]) is None
    assert weights.missing(["vgg16", "lpips-vgg", "deeploss-vgg-rgb", "squeezenet-caffe"]) == (
        "the pretrained weights vgg16, deeploss-vgg-rgb, squeezenet-caffe are not on this machine: "
        "harness prepare --weights vgg16 deeploss-vgg-rgb (528 MiB), and put "
        "squeezenet1_1_caffe_features.safetensors into the folder named by HARNESS_WEIGHTS"
    )
    # Of this one no size is published.
    assert weights.how(["vgg16", "vgg19-caffe"]) == (
        "harness prepare --weights vgg16 vgg19-caffe (more than 528 MiB)"
    )
    assert "no loss or metric knows them" in str(weights.missing(["vgg99"]))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert str(weights.missing(["lpips-vgg"])).endswith("not on this machine: pip install lpips")


def test_a_file_is_fetched_once(server: Server, row: Pretrained) -> None:
    told: list[tuple[str, int, int | None]] = []
    made = weights.fetch(["net", "net"], tell=lambda *event: told.append(event))
    assert made == {"net": place() / "net.pth"}
    assert made["net"].read_bytes() == CONTENT
    assert parts(place()) == ["net.pth"]
    assert told[-1] == ("net", len(CONTENT), len(CONTENT))
    assert weights.fetch(["net"]) == made == {"net": weights.available()["net"]}
    assert server.asked == [None]


def test_a_transfer_that_is_cut_off_goes_on(server: Server, row: Pretrained) -> None:
    server.cuts = [1000, 2000]
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]


def test_the_next_command_goes_on_where_the_last_ended(server: Server, row: Pretrained) -> None:
    server.cuts = [1000, 10, 10, 10, 10]
    with pytest.raises(HarnessError, match=r"was cut off 5 times \(1040 of 256000 bytes came\)"):
        weights.fetch(["net"])
    assert parts(place()) == ["net.pth.part"]
    assert weights.find("net") is None
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=1040-"


def test_a_server_without_ranges_starts_anew(server: Server, row: Pretrained) -> None:
    server.ranges, server.cuts = False, [1000]
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]


@pytest.mark.parametrize("left", [b"other bytes", b"\0" * len(CONTENT), b"\0" * 2**19])
def test_what_was_left_of_another_file_is_thrown_away(
    server: Server, row: Pretrained, left: bytes
) -> None:
    place().mkdir(parents=True)
    (place() / "net.pth.part").write_bytes(left)
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert parts(place()) == ["net.pth"]


def test_what_was_whole_already_is_only_checked(server: Server, row: Pretrained) -> None:
    place().mkdir(parents=True)
    (place() / "net.pth.part").write_bytes(CONTENT)
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_wrong_download_is_kept_aside(server: Server, row: Pretrained) -> None:
    server.content = b"abc"
    with pytest.raises(HarnessError, match=f"starts with ba7816bf, not {DIGEST[:8]}: it is kept"):
        weights.fetch(["net"])
    assert parts(place()) == ["net.pth.wrong-ba7816bf"]
    assert "net" not in weights.available()
    server.content = CONTENT
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT


def test_a_wrong_file_in_torchs_cache_makes_room(
    server: Server, row: Pretrained, caplog: pytest.LogCaptureFixture
) -> None:
    place().mkdir(parents=True)
    (place() / "net.pth").write_bytes(b"abc")
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    assert parts(place()) == ["net.pth", "net.pth.wrong-ba7816bf"]
    assert "it is kept as" in caplog.text


def test_a_busy_server_is_asked_again(server: Server, row: Pretrained) -> None:
    server.busy = 2
    assert weights.fetch(["net"])["net"].read_bytes() == CONTENT
    server.busy, server.asked[:] = 9, []
    (place() / "net.pth").unlink()
    with pytest.raises(HarnessError, match="the server answered 503"):
        weights.fetch(["net"])
    assert len(server.asked) == 5


def test_without_a_connection_one_sentence_says_what_to_do(
    server: Server, row: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    sentence = (
        rf"^{url} could not be reached \(.*refused\): get it elsewhere and put it, named net\.pth, "
        rf"into the folder named by HARNESS_WEIGHTS or into {place()}$"
    )
    with pytest.raises(HarnessError, match=sentence):
        weights.fetch(["net"])
    assert parts(place()) == []


def test_an_address_that_is_gone_is_said(
    server: Server, row: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLE, "net", Pretrained("net", row.files, "MIT", 1, f"{server.url}s"))
    with pytest.raises(HarnessError, match="answered 404 Not Found: get it elsewhere"):
        weights.fetch(["net"])


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(HarnessError, match=r"was cut off 2 times \(timed out\)"):
            download.download(url, tmp_path / "file")


def test_two_commands_do_not_get_the_same_file_at_once(
    tmp_path: Path, server: Server, row: Pretrained
) -> None:
    import fcntl

    place().mkdir(parents=True)
    with (place() / "net.pth.part").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(HarnessError, match=r"another process is getting net\.pth"):
            weights.fetch(["net"])


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, row: Pretrained) -> None:
    (tmp_path / "torch").write_text("a file, no folder")
    with pytest.raises(HarnessError, match=r"net\.pth cannot be written: "):
        weights.fetch(["net"])


def test_weights_without_an_address_or_unknown_are_refused() -> None:
    with pytest.raises(HarnessError, match=r"has no address to fetch it from: put squeezenet1_1_"):
        weights.fetch(["squeezenet-caffe"])
    with pytest.raises(HarnessError, match=r"no pretrained weights 'dist' \(did you mean 'dists'"):
        weights.fetch(["dist"])


def test_digests_of_large_files_are_remembered_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    compute = weights._computed

    def counted(path: Path) -> str:
        taken.append(path)
        return compute(path)

    monkeypatch.setattr(weights, "_computed", counted)
    monkeypatch.setattr(weights, "REMEMBERED", 3)
    path = tmp_path / "large"
    path.write_bytes(b"abc")
    for _ in range(2):
        weights._digest.cache_clear()  # as a new process
        assert weights.sha256(path).startswith("ba7816bf")
    assert len(taken) == 1
    path.write_bytes(b"abcd")
    assert weights.sha256(path) == hashlib.sha256(b"abcd").hexdigest()
    (tmp_path / "cache" / "vae-loss-harness" / "digests.json").write_text("{")
    weights._digest.cache_clear()
    assert weights.sha256(path) == hashlib.sha256(b"abcd").hexdigest()
    assert len(taken) == 3


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "REMEMBERED", 0)
    (tmp_path / "cache").write_text("a file, no folder")
    (tmp_path / "large").write_bytes(b"abc")
    assert weights.sha256(tmp_path / "large").startswith("ba7816bf")


def test_preparing_gets_what_is_named_or_all_that_has_an_address(
    server: Server, row: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"name": "net", "file": "net.pth", "MiB": 0.244, "licence": "MIT (nobody)"}
    assert preparing.listing()[-1] == record | {"state": "missing: harness prepare --weights net"}
    assert preparing.states()["net"] == "missing: harness prepare --weights net"
    assert preparing.prepare_weights(["net"]) == [record | {"state": "ready"}]
    assert preparing.states()["net"] == f"{place() / 'net.pth'} (sha256 {DIGEST[:8]})"
    (place() / "net.pth").unlink()
    for name in list(TABLE):
        if name not in ("net", "squeezenet-caffe", "lpips-vgg"):
            monkeypatch.delitem(TABLE, name)
    assert [r["name"] for r in preparing.prepare_weights()] == ["net"]
    assert [r["state"] for r in preparing.listing()][1:] == ["ready", "ready"]


def test_a_wrong_file_shows_in_the_lists(tmp_path: Path, row: Pretrained) -> None:
    (tmp_path / "given" / "net.pth").write_bytes(b"abc")
    assert "is not the net weights" in preparing.listing()[-1]["state"]
    assert "is not the net weights" in preparing.states()["net"]


def test_files_set_aside_keep_their_name(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"abc")
    assert set_aside(tmp_path / "net.pth", "ba7816bf00").name == "net.pth.wrong-ba7816bf"
