"""A source's images as they are decoded: kept across kills, continued where they stopped."""

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from datasets.source import DIGEST
from harness.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

Reasons = dict[int, str]  # image -> why it cannot be read

_ZEROS = bytes(1 << 20)


class Staging:
    """Pixels and digests of all images in the source's order, and which blocks are done.

    A block is marked once its pixels are on the disk, so that what is marked can be relied on
    whenever the process ends.
    """

    def __init__(self, folder: Path, origin: Origin) -> None:
        """Go on in `folder` where it holds a part of the same source, else begin anew there.

        Raises `OSError` when the disk has no room for all pixels.
        """
        count = len(origin.source)
        self.folder = folder
        shapes: dict[str, tuple[int, ...]] = {
            "pixels": (count, *origin.source.shape),
            "digests": (count, DIGEST),
        }
        identity: dict[str, object] = {
            "fingerprint": origin.fingerprint,
            "reader": origin.reader,
            "shapes": shapes,
        }
        if not self._holds(identity):
            self._begin(identity, shapes)
        self.pixels, self.digests = (np.load(self._path(n), mmap_mode="r+") for n in shapes)
        self.reasons: Reasons = {}
        self.done: set[int] = set()
        self._unmarked: dict[int, Reasons] = {}
        self._recall()

    def mark(self, blocks: "Mapping[int, Reasons]") -> None:
        """Note that the blocks that begin at these images are done, with what was unreadable."""
        for name in ("pixels", "digests"):
            with self._path(name).open("rb") as stream:
                os.fsync(stream.fileno())
        with (self.folder / "done.jsonl").open("a") as stream:
            for start, reasons in blocks.items():
                stream.write(json.dumps([start, reasons]) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._count(blocks)

    def settle(self) -> None:
        """Mark what was only noted, as far as the disk takes it."""
        with contextlib.suppress(OSError):
            self.mark(self._unmarked)

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _holds(self, identity: dict[str, object]) -> bool:
        try:
            stored = json.loads((self.folder / "source.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(stored == json.loads(json.dumps(identity)))

    def _begin(self, identity: dict[str, object], shapes: dict[str, tuple[int, ...]]) -> None:
        self.remove()
        self.folder.mkdir(parents=True)
        try:
            for name, shape in shapes.items():
                with self._path(name).open("wb") as stream:
                    allocate(stream, shape)
        except OSError:
            self.remove()  # nothing decoded is lost, and a full disk gets its space back
            raise
        (self.folder / "source.json").write_text(json.dumps(identity))

    def _recall(self) -> None:
        try:
            lines = (self.folder / "done.jsonl").read_text().splitlines(keepends=True)
        except OSError:
            return
        for line in lines:
            if line.endswith("\n"):  # else a kill cut it short
                start, reasons = json.loads(line)
                self._count({start: {int(index): why for index, why in reasons.items()}})

    def note(self, blocks: "Mapping[int, Reasons]") -> None:
        """Count the blocks as done in this process; `settle` puts that on the disk."""
        self._unmarked |= blocks
        self._count(blocks)

    def _count(self, blocks: "Mapping[int, Reasons]") -> None:
        self.done |= set(blocks)
        for reasons in blocks.values():
            self.reasons |= reasons


def allocate(stream: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of a uint8 .npy file and reserve the room of its values, all zero.

    A full disk shows here, as an `OSError`; on writing to a map it would kill the process.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    stream.flush()
    size = int(np.prod(shape, dtype=np.int64))
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), stream.tell(), max(size, 1))
        return
    for begin in range(0, size, len(_ZEROS)):
        stream.write(_ZEROS[: size - begin])
    stream.flush()
    stream.seek(-size, os.SEEK_END)
