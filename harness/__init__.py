"""Which reconstruction loss should I train my VAE with, and what does it cost me?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.artefacts import load_model

__version__ = "0.1.0"
__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> Any:
    """Import `load_model` only when asked for, so that `import harness` stays free of torch."""
    if name == "load_model":
        from harness.artefacts import load_model

        return load_model
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
