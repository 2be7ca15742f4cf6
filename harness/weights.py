"""Pretrained weights: where they are looked for, what identifies them, how they are fetched."""

import contextlib
import functools
import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import HarnessError, suggestion
from harness.files import write_atomically
from harness.settings import settings
from harness.weight_files import TABLE, Pretrained, WeightFile

log = logging.getLogger(__name__)

# File names under which each name in a component's `requires` is known.
FILES: dict[str, tuple[str, ...]] = {
    name: tuple(file.name for file in row.files) for name, row in TABLE.items()
}
# Digests of smaller files are taken again rather than remembered.
REMEMBERED = 2**20

Tell = Callable[[str, int, int | None], None]  # name, bytes there, bytes in all


def downloads() -> Path:
    """Return the folder that fetched weights go to: torch's own."""
    return settings().torch_home / "hub" / "checkpoints"


def find(name: str, folder: Path | None = None) -> Path | None:
    """Return the local file of the named weights by its name alone.

    It is looked for in `folder` where given, then in HARNESS_WEIGHTS, then in torch's cache; what
    an installed package brings is looked for in that package alone.
    """
    row = TABLE.get(name)
    if row is None:
        return None
    places = [folder, settings().weights, downloads()]
    if row.package:
        places = [_package_folder(row.package)]
    candidates = (place / file.name for place in places if place for file in row.files)
    return next((path for path in candidates if path.is_file()), None)


def available() -> dict[str, Path]:
    """Return the files of all known weights that are on this machine and are what they say."""
    found = {name: path for name in TABLE if (path := find(name)) is not None}
    return {name: path for name, path in found.items() if not _refusal(name, path)}


def verify(name: str, path: Path) -> None:
    """Check the digest of a file against the table.

    Raises:
        HarnessError: it is another file; it stays where it is.
    """
    wrong = _refusal(name, path)
    if wrong:
        raise HarnessError(wrong)


def missing(names: Iterable[str]) -> str | None:
    """Return in one sentence what of the named weights is not there and how to get it, or None."""
    refused, absent = [], []
    for name in dict.fromkeys(names):
        path = find(name)
        if path is None:
            absent.append(name)
        elif wrong := _refusal(name, path):
            refused.append(wrong)
    if refused or not absent:
        return refused[0] if refused else None
    return f"the pretrained weights {', '.join(absent)} are not on this machine: {how(absent)}"


def how(names: Iterable[str]) -> str:
    """Return what to do to get the named weights, each of which is in the table."""
    rows = [TABLE[name] for name in names if name in TABLE]
    fetched = [row for row in rows if row.url]
    parts = []
    if fetched:
        mib = sum(row.size or 0 for row in fetched) / 2**20
        more = "more than " if any(row.size is None for row in fetched) else ""
        size = f" ({more}{mib:.0f} MiB)" if mib >= 1 else ""
        parts.append(f"harness prepare --weights {' '.join(row.name for row in fetched)}{size}")
    for row in rows:
        if row.package:
            parts.append(f"pip install {row.package.partition('/')[0]}")
        elif not row.url:
            parts.append(f"put {row.files[0].name} into the folder named by HARNESS_WEIGHTS")
    return ", and ".join(dict.fromkeys(parts)) or "no loss or metric knows them"


def fetch(
    names: Iterable[str], folder: Path | None = None, tell: Tell = lambda name, done, total: None
) -> dict[str, Path]:
    """Return the files of the named weights, getting those that are missing.

    They go to `folder`, torch's cache unless given. A wrong file there is kept beside under
    another name; one that the user put into HARNESS_WEIGHTS is refused.

    Raises:
        HarnessError: an unknown name, no connection, a wrong file, or weights without an address.
    """
    place = folder or downloads()
    rows = [_row(name) for name in dict.fromkeys(names)]
    return {row.name: _fetch(row, place, tell) for row in rows}


def _row(name: str) -> Pretrained:
    if name not in TABLE:
        raise HarnessError(
            f"there are no pretrained weights {name!r}{suggestion(name, TABLE)}; "
            "see: harness list weights"
        )
    return TABLE[name]


def _fetch(row: Pretrained, folder: Path, tell: Tell) -> Path:
    from harness.download import download, set_aside

    found = find(row.name, folder)
    if found is not None:
        wrong = _refusal(row.name, found)
        if not wrong:
            return found
        if found.parent != folder or folder == settings().weights:  # not ours to rename
            raise HarnessError(wrong)
        log.warning("%s; it is kept as %s", wrong, set_aside(found, sha256(found)))
        return _fetch(row, folder, tell)
    if row.url is None:
        raise HarnessError(f"{row.name} has no address to fetch it from: {how([row.name])}")
    file = row.files[0]
    target = folder / file.name
    elsewhere = (
        f": get it elsewhere and put it, named {file.name}, into the folder named by "
        f"HARNESS_WEIGHTS or into {folder}"
    )
    log.info("getting %s", row.url)
    download(row.url, target, file.sha256, functools.partial(tell, row.name), elsewhere)
    return target


def _refusal(name: str, path: Path) -> str | None:
    """Return why the file cannot be what the table says, or None when it is."""
    expected = _file(name, path).sha256
    if expected is None:
        return None
    digest = sha256(path)
    if digest.startswith(expected):
        return None
    return (
        f"{path} is not the {name} weights: its sha256 starts with {digest[:8]}, not "
        f"{expected[:8]}: replace it"
    )


def _file(name: str, path: Path) -> WeightFile:
    return next((file for file in _row(name).files if file.name == path.name), WeightFile(""))


def _package_folder(place: str) -> Path | None:
    package, _, inside = place.partition("/")
    found = importlib.util.find_spec(package)  # finds it without importing it
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / inside


def sha256(path: Path) -> str:
    """Return the file's digest in hexadecimal; that of a large file is remembered.

    What is remembered holds for the same path, size and time of change, and lies in the cache
    folder; where it cannot be written, every process takes the digest once.
    """
    state = path.stat()
    return _digest(path.resolve(), state.st_size, state.st_mtime_ns)


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    if size < REMEMBERED:
        return _computed(path)
    key = f"{path}|{size}|{changed}"
    known = _remembered()
    return known[key] if key in known else _remember(key, _computed(path))


def _computed(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remember(key: str, digest: str) -> str:
    text = json.dumps(_remembered() | {key: digest}, indent=0).encode()
    with contextlib.suppress(HarnessError):
        write_atomically(_memory(), lambda stream: stream.write(text))
    return digest


def _memory() -> Path:
    return settings().cache / "digests.json"


def _remembered() -> dict[str, str]:
    try:
        known = json.loads(_memory().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
