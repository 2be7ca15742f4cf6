"""Measures the rate that a short training spends at both ends and the middle of a range of β.

    python -m benchmarks.beta_ranges [LOSS ...] [--steps 600] [--beta B ...]

A small `conv4` (width 8, mlp 256, 2 blocks, latent 24) on photographs of 32x32x3, batches of 16,
Adam at 1.5e-3 that falls linearly over the last quarter. Prints one JSON line per loss and β: the
mean KL divergence in nats over the last 15 % of the steps, and the PSNR of 512 training images. l2
spends about 60, 32 and 12 nats at 0.015, 0.08 and 0.45; the ranges of the other losses were set so
that their ends come near that, as far as they train at all in so short a time.
"""

import argparse
import json
import math
from typing import Any

import torch
from torch import Tensor

import losses
import models
from harness import components, weights
from harness.metrics.latent import kl_divergence

SHAPE = (3, 32, 32)
LATENT, BATCH, RATE = 24, 16, 1.5e-3


def main() -> None:
    """Train and print, loss by loss."""
    parser = argparse.ArgumentParser()
    parser.add_argument("losses", nargs="*")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--beta", type=float, nargs="*")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images = _photographs()
    free = [name for name in losses.REGISTRY if not losses.find(name).required(3)]
    for spec in asked.losses or free:
        low, high = _loss(spec).beta_range
        for beta in asked.beta or (low, math.sqrt(low * high), high):
            found = Short(spec, beta, asked.steps, images).run()
            print(json.dumps({"loss": spec, "beta": beta, **found}), flush=True)


class Short:
    """One short training."""

    def __init__(self, spec: str, beta: float, steps: int, images: Tensor) -> None:
        self.beta, self.steps, self.images = beta, steps, images
        self.loss = _loss(spec).requires_grad_(False)
        self.model = models.build(
            "conv4",
            image_shape=SHAPE,
            latent_size=LATENT,
            width=8,
            mlp=256,
            blocks=2,
            generator=torch.Generator().manual_seed(1),
        ).to(memory_format=torch.channels_last)
        groups = [{"params": list(self.model.parameters()), "lr": RATE}, *self.loss.main_groups()]
        for parameter in (p for group in groups[1:] for p in group["params"]):
            parameter.requires_grad_(True)
        self.optimizer = torch.optim.Adam(groups)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, 4 * (1 - step / steps))
        )
        self.companion = [p for group in self.loss.companion_groups() for p in group["params"]]
        self.second = (
            torch.optim.Adam(self.loss.companion_groups(), self.loss.companion_lr)
            if self.companion
            else None
        )
        self.noise = torch.Generator().manual_seed(2)

    def run(self) -> dict[str, Any]:
        """Return the rate in nats, the PSNR in dB and the last energy."""
        rates, energy = [], math.nan
        self.loss.start_epoch(0.0)
        for step in range(self.steps):
            if step == self.steps // 4:
                self.loss.start_epoch(1000.0)  # warm-ups are over, late terms have started
            energy, rate = self._step()
            if step >= 0.85 * self.steps:
                rates.append(rate)
        return {"nats": sum(rates) / len(rates), "psnr": self._psnr(), "energy": energy}

    def _step(self) -> tuple[float, float]:
        x = self.images[torch.randint(len(self.images), (BATCH,), generator=self.noise)]
        for parameter in self.companion:
            parameter.requires_grad_(False)
        record = self.model(x, self.noise)
        energy = self.loss(record.recon, x, record.latent, logits=record.logits).mean()
        rate = kl_divergence(record.mu, record.logvar).mean()
        objective, generated = energy + self.beta * rate, None
        latent = record.latent.detach()
        if self.loss.decoder_loss is not None:
            drawn = torch.randn(latent.shape, generator=self.noise)
            generated = self.model.decode(drawn)[1]
            recon = self.model.decode(latent)[1]
            objective = objective + self.loss.decoder_loss(recon, x, latent, generated).mean()
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.second is not None:
            for parameter in self.companion:
                parameter.requires_grad_(True)
            self.second.zero_grad(set_to_none=True)
            seen = None if generated is None else generated.detach()
            self.loss.companion_loss(record.recon.detach(), x, latent, seen).backward()
            self.second.step()
        return float(energy.detach()), float(rate.detach())

    @torch.no_grad()
    def _psnr(self) -> float:
        self.model.eval()
        x = self.images[:512]
        recon = self.model.decode(self.model.encode(x)[0])[1]
        return float(-10 * (recon - x).square().flatten(1).mean(1).log10().mean())


def _loss(spec: str) -> Any:
    return components.build_loss(
        components.resolve_loss(spec),
        SHAPE,
        LATENT,
        generator=torch.Generator().manual_seed(5),
        weights=weights.available(),
    )


def _photographs() -> Tensor:
    dataset = components.build_dataset(components.resolve("dataset", "photos32"))
    images = torch.from_numpy(dataset.load().train).float() / 255
    return images.contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
