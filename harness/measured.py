"""What evaluation accumulates, batch by batch, and what it comes to."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.appearance import Appearance, Reference, spread
from harness.distances import Columns
from harness.metrics import latent, likelihood
from harness.protocol import Protocol

PICTURES = 16

# The importance-weighted bound decodes every image 50 times: the first images have to do.
IWAE_IMAGES = 64


@dataclass(frozen=True)
class Measured:
    """What evaluation found: columns of a row, one score per image, arrays for the report."""

    metrics: Columns
    scores: pd.DataFrame
    pictures: dict[str, np.ndarray]

    @property
    def finite(self) -> bool:
        """Whether every number of the row is finite."""
        return all(math.isfinite(v) for v in self.metrics.values() if isinstance(v, (int, float)))


class Reconstructions:
    """Accumulates what is measured on reconstructions; `loss` is the trained loss, if at hand."""

    def __init__(self, known: Reference, protocol: Protocol, loss: Any = None) -> None:
        self.known, self.protocol, self.loss = known, protocol, loss
        self.made = Appearance("recon", known)
        self.units = latent.ActiveUnits()
        self.values: dict[str, list[Tensor]] = {}
        self.errors: list[Tensor] = []
        self.shown: list[np.ndarray] = []

    def add(self, batch: Tensor, record: Any, recon: Tensor) -> None:
        """Add images, the model's record of them and the reconstructions to be scored."""
        kl = latent.kl_divergence(record.mu.float(), record.logvar.float())
        sampled = record.recon.float()
        # The bound is an expectation over the posterior, so it takes the sampled latent.
        self.errors.append(squared_error(sampled, batch).cpu())
        found = {score.name: score.compute(recon, batch) for score in self.known.pairs}
        found["kl"] = kl
        if self.known.final and self.loss is not None:
            found["nll_paper"] = likelihood.nll_paper(
                self.loss, sampled, batch, record.latent.float(), kl
            )
        for name, value in found.items():
            self.values.setdefault(name, []).append(value.cpu())
        self.units.update(record.mu.float())
        self.made.add(recon)
        if sum(map(len, self.shown)) < PICTURES:
            self.shown.append(as_bytes(recon))

    def close(self, sigma: float, size: int) -> None:
        """Take the likelihoods at σ; `size` is the number of values in an image."""
        errors, kl = torch.cat(self.errors), torch.cat(self.values["kl"])
        bound = likelihood.elbo_sigma(errors, kl, size, sigma)
        self.values["elbo_sigma"] = [bound]
        self.values["elbo_bpd"] = [likelihood.elbo_bpd(bound, size)]
        self.values["nll_sigma"] = [likelihood.gaussian_nll(errors, size, sigma)]
        self.values["rate_bpd"] = [likelihood.bits_per_dim(kl, size)]

    def best_sigma(self, size: int) -> float:
        """Return the σ of highest likelihood on these very images."""
        errors = torch.cat(self.errors)
        return likelihood.optimal_sigma(float(errors.sum()), len(errors) * size)

    def metrics(self, sigma: float) -> Columns:
        """Return the columns of the reconstructions."""
        found: Columns = {"sigma_optimal": sigma, "active_units": self.units.active()}
        for name, values in self.values.items():
            found |= spread(name, values)
        count = len(torch.cat(self.errors))
        found |= {
            f"{name}_signature": f"{text}|n={count}" for name, text in self._signatures().items()
        }
        return found | self.made.columns()

    def _signatures(self) -> dict[str, str]:
        at, sampled = f"|at={self.protocol.evaluate_at}", "|at=sample|fit=validation"
        found = {score.name: score.signature + at for score in self.known.pairs}
        if "nll_paper" in self.values:
            found["nll_paper"] = likelihood.nll_paper_signature(self.loss) + "|at=sample"
        return found | {
            "kl": latent.KL_SIGNATURE,
            "rate_bpd": latent.RATE_SIGNATURE,
            "elbo_sigma": likelihood.ELBO_SIGNATURE + sampled,
            "elbo_bpd": likelihood.ELBO_BPD_SIGNATURE + sampled,
            "nll_sigma": likelihood.NLL_SIGNATURE + sampled,
            "sigma_optimal": likelihood.SIGMA_SIGNATURE + sampled,
            "active_units": latent.ACTIVE_UNITS_SIGNATURE,
        }

    def scores(self) -> pd.DataFrame:
        """Return one row per image: every score of its reconstruction."""
        found = self.values | {f"{name}_recon": v for name, v in self.made.values.items()}
        frame = pd.DataFrame({name: torch.cat(values).numpy() for name, values in found.items()})
        frame.insert(0, "index", np.arange(len(frame)))
        return frame

    def pictures(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Keep the first images of the split: a fixed choice, the same for every loss."""
        recon = np.concatenate(self.shown)[:PICTURES]
        return {
            "indices": np.arange(len(recon), dtype=np.int64),
            "inputs": np.ascontiguousarray(images[: len(recon)]),
            "recon": recon,
            "spectrum_recon": self.made.spectrum.mean().numpy().astype(np.float32),
        }


class Generations:
    """Accumulates what is measured on images decoded from prior noise."""

    def __init__(self, known: Reference) -> None:
        self.made = Appearance("gen", known)
        self.shown: np.ndarray | None = None

    def add(self, batch: Tensor) -> None:
        """Add a batch of generated images."""
        if self.shown is None:
            self.shown = as_bytes(batch[:PICTURES])
        self.made.add(batch)

    def metrics(self) -> Columns:
        """Return the columns of the generations."""
        return {"generated": self.made.features.moments.count, **self.made.columns()}

    def pictures(self) -> dict[str, np.ndarray]:
        """Keep the first samples."""
        shown = self.shown if self.shown is not None else np.zeros((0,), np.uint8)
        spectrum_gen = self.made.spectrum.mean().numpy().astype(np.float32)
        return {"samples": shown, "spectrum_gen": spectrum_gen}


def squared_error(recon: Tensor, target: Tensor) -> Tensor:
    return (recon - target).double().square().sum((1, 2, 3))


def as_bytes(images: Tensor) -> np.ndarray:
    found: np.ndarray = images.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    return found
