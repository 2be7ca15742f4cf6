"""The six batch files of CIFAR-10, in a folder or in the tar they are published in."""

import tarfile
import zlib
from pathlib import Path

from datasets.idx import InvalidArrayFileError


def read_members(path: Path, names: list[str], limit: int) -> dict[str, bytes]:
    """Return the content of the files `names` of a folder or a (gzipped) tar, by name.

    In a tar they are looked for by the last part of their path, and nothing is unpacked to disk.
    Errors: `InvalidArrayFileError` for a file that is missing, cannot be read or is larger than
    `limit` bytes.
    """
    try:
        if path.is_dir():
            sizes = {name: (path / name).stat().st_size for name in names}
            _refuse_large(path, sizes, limit)
            return {name: (path / name).read_bytes() for name in names}
        found = _from_tar(path, names, limit)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArrayFileError(f"{path} cannot be read ({reason}): get it again") from error
    absent = [name for name in names if name not in found]
    if absent:
        raise InvalidArrayFileError(f"{path} lacks {absent[0]}: get the official file again")
    return found


def _from_tar(path: Path, names: list[str], limit: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            if not member.isfile() or name not in names or name in found:
                continue
            _refuse_large(path, {name: member.size}, limit)
            content = tar.extractfile(member)
            if content is not None:
                found[name] = content.read()
    return found


def _refuse_large(path: Path, sizes: dict[str, int], limit: int) -> None:
    for name, size in sizes.items():
        if size > limit:
            raise InvalidArrayFileError(
                f"{name} of {path} has {size} bytes, more than the official file can: get it again"
            )
