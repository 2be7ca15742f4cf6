"""Archives: read as folders are, and hostile or damaged ones refused."""

import io
import stat
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import archive
from datasets.folder import Folder
from datasets.tree import InvalidArchiveError, InvalidFolderError, open_tree


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {f"{'train' if i < 20 else 'test'}/{i % 3}/{i:02}.png": png(i) for i in range(30)}


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as stream:
        for name, content in files.items():
            stream.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as stream:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            stream.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_folder_zip_and_tar_give_the_same_images(tmp_path) -> None:
    places = [
        write_folder(tmp_path / "folder", FILES),
        write_zip(tmp_path / "deflated.zip", FILES),
        write_zip(tmp_path / "stored.zip", FILES, zipfile.ZIP_STORED),
        write_tar(tmp_path / "plain.tar", FILES),
        write_zip(tmp_path / "Wrapped.ZIP", {f"my photos/all/{n}": c for n, c in FILES.items()}),
        write_tar(tmp_path / "dotted.tar", {f"./{name}": c for name, c in FILES.items()}),
    ]
    hashes = {Folder(str(place)).load().data_hash for place in places}
    assert len(hashes) == 1
    images = Folder(str(places[1])).load()
    assert sorted(images.test[:, 0, 0, 0].tolist()) == list(range(20, 30))


def test_an_archive_is_one_file_and_members_are_sorted(tmp_path) -> None:
    path = write_zip(tmp_path / "x.zip", {"b.png": b"2", "a/c.png": b"1", "__MACOSX/._b.png": b""})
    tree = open_tree(path)
    assert tree.names == ["a/c.png", "b.png"] and tree.read("b.png") == b"2"
    (found,) = tree.states(tree.names)
    assert (found.path, found.size) == ("x.zip", path.stat().st_size)
    folder = open_tree(write_folder(tmp_path / "f", {"a/c.png": b"1", ".hidden/x.png": b""}))
    assert [(s.path, s.size) for s in folder.states(folder.names)] == [("a/c.png", 1)]


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_many_threads_read_one_archive(tmp_path, write) -> None:
    contents = {f"{i}.png": bytes([i]) * 70_000 for i in range(40)}
    tree = open_tree(write(tmp_path / f"x.{write.__name__[-3:]}", contents))
    wrong: list[str] = []

    def read_all() -> None:
        wrong.extend(name for name in tree.names * 3 if tree.read(name) != contents[name])

    threads = [threading.Thread(target=read_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "C:/x.png", "..\\x.png", "a\\..\\x"],
)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_names_that_leave_the_folder_are_refused(tmp_path, write, name) -> None:
    path = write(tmp_path / f"x.{write.__name__[-3:]}", {**FILES, name: b"x"})
    with pytest.raises(InvalidArchiveError, match="leaves the folder"):
        Folder(str(path)).open()


def test_names_with_dots_inside_are_no_attack(tmp_path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a..b/c...png": b"x", "10:30.png": b"x"})
    assert open_tree(path).names == ["10:30.png", "a..b/c...png"]


def test_links_are_refused(tmp_path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as stream:
        stream.writestr(link, "/etc/passwd")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with tarfile.open(tmp_path / f"{kind.decode()}.tar", "w") as tar:
            tar.addfile(member("link.png", kind, "/etc/passwd"))
    for name in ("x.zip", "1.tar", "2.tar"):
        with pytest.raises(InvalidArchiveError, match=r"link\.png in .* is a link"):
            open_tree(tmp_path / name)
    with tarfile.open(tmp_path / "pipe.tar", "w") as tar:
        tar.addfile(member("pipe.png", tarfile.FIFOTYPE))
    with pytest.raises(InvalidArchiveError, match="no ordinary file"):
        open_tree(tmp_path / "pipe.tar")


def test_a_bomb_is_refused_by_what_it_declares(tmp_path, monkeypatch) -> None:
    zeros = write_zip(tmp_path / "zeros.zip", {"a.png": bytes(70 << 20)})
    assert zeros.stat().st_size < 100_000
    with pytest.raises(InvalidArchiveError, match="decompression bomb"):
        open_tree(zeros)
    monkeypatch.setattr(archive, "LARGEST", 1000)
    with pytest.raises(InvalidArchiveError, match=r"a\.png .* from \d+ to 1001 bytes"):
        open_tree(write_zip(tmp_path / "large.zip", {"a.png": bytes(1001)}))
    assert open_tree(write_zip(tmp_path / "small.zip", {"a.png": bytes(1000)})).names == ["a.png"]
    stored = open_tree(write_zip(tmp_path / "s.zip", {"a.png": bytes(1001)}, zipfile.ZIP_STORED))
    with pytest.raises(InvalidArchiveError, match="1001 bytes: no image is so large"):
        stored.read("a.png")


def test_many_small_bombs_are_refused_together(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archive, "_SUSPECT", 1 << 20)
    path = write_zip(tmp_path / "x.zip", {f"{i}.png": bytes(900_000) for i in range(4)})
    with pytest.raises(InvalidArchiveError, match="more than 200 times its size"):
        open_tree(path)


def test_a_member_never_inflates_beyond_what_it_declares(tmp_path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": bytes(1 << 20)})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):  # APPNOTE 4.3.7 and 4.3.12
        at = content.index(signature) + offset
        content[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InvalidArchiveError, match=r"a\.png in x\.zip is damaged"):
        open_tree(path).read("a.png")


def test_encrypted_and_unusual_zips_are_refused(tmp_path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": b"abc"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InvalidArchiveError, match=r"a\.png in .* is encrypted"):
        open_tree(path)
    with pytest.raises(InvalidArchiveError, match="by method 14: pack it"):
        open_tree(write_zip(tmp_path / "y.zip", {"a.png": b"abc"}, zipfile.ZIP_LZMA))


def test_damaged_archives_are_one_sentence(tmp_path) -> None:
    whole = write_zip(tmp_path / "whole.zip", FILES).read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "text.tar").write_text("no tar" * 200)
    (tmp_path / "empty.tar").write_bytes(b"")
    tar = write_tar(tmp_path / "whole.tar", FILES).read_bytes()
    (tmp_path / "half.tar").write_bytes(tar[:1000])
    (tmp_path / "end.tar").write_bytes(tar[: tar.index(FILES["test/2/29.png"]) + 20])
    for name in ("half.zip", "text.zip", "text.tar", "empty.tar", "half.tar", "end.tar"):
        with pytest.raises(InvalidFolderError, match=name.replace(".", r"\.")) as raised:
            Folder(str(tmp_path / name)).open()
        assert "\n" not in str(raised.value)


def test_a_damaged_member_is_one_unreadable_image(tmp_path) -> None:
    files = {f"{i:03}.png": png(i) for i in range(120)}
    path = write_zip(tmp_path / "x.zip", files, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = content.index(files["007.png"])
    content[at + 40] ^= 255
    path.write_bytes(content)
    images = Folder(str(path)).load()
    assert len(images.train) + len(images.validation) + len(images.test) == 119


@pytest.mark.parametrize("mode", ["gz", "xz", "bz2"])
def test_compressed_tars_are_refused_with_the_remedy(tmp_path, mode) -> None:
    path = write_tar(tmp_path / f"x.tar.{mode}", FILES, f"w:{mode}")
    with pytest.raises(
        InvalidArchiveError, match=r"unpack it, or make it a plain \.tar or a \.zip"
    ):
        Folder(str(path)).open()


def test_arrays_are_mapped_from_stored_members_only(tmp_path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8))
    files = {"mine/train.npy": buffer.getvalue()}
    stored = write_zip(tmp_path / "stored.zip", files, zipfile.ZIP_STORED)
    hashes = {
        Folder(str(path)).load().data_hash
        for path in (stored, write_tar(tmp_path / "x.tar", files))
    }
    assert len(hashes) == 1
    assert sorted(Folder(str(stored)).load().train[:, 0, 0, 0])[-1] <= 39
    with pytest.raises(InvalidArchiveError, match=r"compressed in .* unpack the archive"):
        Folder(str(write_zip(tmp_path / "deflated.zip", files))).open()
