"""The state of a training run on disk, so that a stopped run goes on bit by bit."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from harness.files import write_atomically

log = logging.getLogger(__name__)

# Writing may take this share of the training time.
SHARE = 0.02
# No run shorter than this writes one at an epoch's end.
FIRST_AFTER = 10.0


class Checkpoint:
    """One file, rewritten now and then and deleted when the run's row is stored."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint
        self._written = time.monotonic()
        self._cost = FIRST_AFTER * SHARE

    def due(self) -> bool:
        """Tell whether enough training has passed since the last write."""
        return time.monotonic() - self._written > self._cost / SHARE

    def save(self, state: dict[str, Any]) -> None:
        """Write `state` (tensors and plain values) together with the fingerprint."""
        start = time.monotonic()
        content = {"fingerprint": self.fingerprint, "state": state}
        write_atomically(self.path, lambda stream: torch.save(content, stream))
        self._written = time.monotonic()
        self._cost = self._written - start

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None where there is none of this very run."""
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            log.warning("%s is damaged (%s): the run starts again", self.path.name, error)
            return None
        if not isinstance(content, dict) or content.get("fingerprint") != self.fingerprint:
            return None
        state: dict[str, Any] = content["state"]
        return state

    def delete(self) -> None:
        """Remove the file, once the row it led to is stored."""
        self.path.unlink(missing_ok=True)
