"""The one place that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Folders and switches taken from the environment."""

    data: Path | None  # HARNESS_DATA: where relative dataset paths are looked up
    weights: Path | None  # HARNESS_WEIGHTS: pretrained weights given by the user
    cache: Path  # XDG_CACHE_HOME/vae-loss-harness
    prepared: Path  # HARNESS_PREPARED: datasets as decoded once; <cache>/datasets without it
    torch_home: Path  # TORCH_HOME: where torch keeps downloaded weights
    ci: bool  # CI: no progress bars


def settings() -> Settings:
    """Read the settings as they are now."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "vae-loss-harness"
    return Settings(
        data=_path("HARNESS_DATA"),
        weights=_path("HARNESS_WEIGHTS"),
        cache=cache,
        prepared=_path("HARNESS_PREPARED") or cache / "datasets",
        torch_home=_path("TORCH_HOME") or home / "torch",
        ci=os.environ.get("CI", "").lower() not in ("", "0", "false"),
    )


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None
