"""Getting one file over HTTP: resumed where it was cut off, checked, then put into place."""

import contextlib
import errno
import fcntl
import hashlib
import http
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from harness.errors import HarnessError

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a byte
PAUSE = 1.0  # seconds before the second attempt, doubled before each next one
BLOCK = 2**20
_PASSING = (429, 500, 502, 503, 504)  # a busy server: worth another attempt

Tell = Callable[[int, int | None], None]  # bytes there, bytes in all where the server says so


class _CutOff(Exception):
    """The connection ended early; what came is kept."""


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    tell: Tell = lambda done, total: None,
    where_else: str = "",
) -> None:
    """Get `url` into the file `target`, which appears whole or not at all.

    What has arrived lies in `<target>.part`, from which the next call goes on. A file with another
    digest than `sha256`, of which the first digits suffice, is kept as `<target>.wrong-<8 digits>`.
    `where_else` says in messages what the user can do without a connection.

    Raises:
        HarnessError: no connection, the file is not there, its digest is wrong, another process
            is getting it, or it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab+") as stream:
            _lock(stream, target)
            resumed = _size(stream) > 0
            _transfer(url, stream, tell, where_else)
            if resumed and not matches(_digest(stream), sha256):  # its beginning may be at fault
                stream.truncate(0)
                _transfer(url, stream, tell, where_else)
            os.fsync(stream.fileno())
            _finish(part, target, _digest(stream), sha256, url)
    except OSError as error:
        raise HarnessError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            if part.stat().st_size == 0:  # nothing to go on from
                part.unlink()


def matches(digest: str, expected: str | None) -> bool:
    """Tell whether a digest begins with the expected one; None expects nothing."""
    return expected is None or digest.startswith(expected)


def set_aside(path: Path, digest: str) -> Path:
    """Rename a file that is not what its name says, and return its new place."""
    aside = path.with_name(f"{path.name.removesuffix('.part')}.wrong-{digest[:8]}")
    path.replace(aside)
    return aside


def _finish(part: Path, target: Path, digest: str, sha256: str | None, url: str) -> None:
    if not matches(digest, sha256):
        aside = set_aside(part, digest)
        raise HarnessError(
            f"{url} gave a file whose sha256 starts with {digest[:8]}, not {str(sha256)[:8]}: it "
            f"is kept as {aside}; try again, or get the file elsewhere"
        )
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock(stream: IO[bytes], target: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # a file system without locks
        raise HarnessError(
            f"another process is getting {target.name}: wait until it is done"
        ) from error


def _transfer(url: str, stream: IO[bytes], tell: Tell, where_else: str) -> None:
    """Append what is missing, going on after the connection was cut off."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            with _opened(url, _size(stream), where_else) as response:
                _append(response, stream, tell)
            return
        except (_CutOff, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            cause = error
    raise HarnessError(
        f"{url} was cut off {ATTEMPTS} times ({cause}): what came is kept, the same command goes on"
        + where_else
    ) from cause


@contextlib.contextmanager
def _opened(url: str, start: int, where_else: str) -> Iterator[http.client.HTTPResponse]:
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(url, headers={"User-Agent": "vae-loss-harness"} | headers)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _PASSING:
                raise _CutOff(f"the server answered {error.code} {error.reason}") from error
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise HarnessError(
                    f"{url} answered {error.code} {error.reason}{where_else}"
                ) from error
            yield error  # type: ignore[misc]  # it has the status and headers of a response
            return
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _CutOff("no answer") from error
        raise HarnessError(f"{url} could not be reached ({error.reason}){where_else}") from error
    with response:
        yield response


def _append(response: http.client.HTTPResponse, stream: IO[bytes], tell: Tell) -> None:
    done = _size(stream)
    if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        if response.headers.get("Content-Range") == f"bytes */{done}":
            return  # every byte was there already
        stream.truncate(0)
        raise _CutOff("it began with another file")
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        stream.truncate(0)
        done = 0
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
        stream.truncate(0)
        raise _CutOff("another range came than was asked for")
    length = response.headers.get("Content-Length")
    total = None if length is None else done + int(length)
    while block := response.read(BLOCK):
        stream.write(block)
        done += len(block)
        tell(done, total)
    stream.flush()
    if total is not None and done < total:
        raise _CutOff(f"{done} of {total} bytes came")


def _size(stream: IO[bytes]) -> int:
    return stream.seek(0, os.SEEK_END)


def _digest(stream: IO[bytes]) -> str:
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
