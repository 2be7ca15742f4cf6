"""The blur error: a Gaussian whose covariance undoes the blur of the reconstruction."""

from __future__ import annotations

import math
from typing import Literal, Unpack

import torch
from torch import Generator, Tensor

from losses import kernels, wiener
from losses.base import Context, ReconstructionLoss
from losses.half_plane import multiplicity
from losses.options import InvalidOption

Likelihood = Literal["paper", "inverse-eps", "wiener-exact"]
VARIANCE, HIDDEN = 2.0, 1000  # defaults


class Blur(ReconstructionLoss):
    """The squared error behind a Wiener filter of the blur that a network sees in each image.

        Q = 1/2 || F*(k) / (|F(k)|^2 + C) . (F(x) - F(y)) ||^2,    k = G(z)

    over channels and frequencies of the unitary Fourier transform, y being the reconstruction of
    x. The companion G learns `min ||x * k - y||^2` beside it, and so the blur that is left.
    Frequencies that this blur weakens to |F(k)| = sqrt C count most, 1 / (4 C) times as much as in
    `l2` (10 times at the default C); weaker ones fade and those it removes count nothing.

    With `epsilon` the log-determinant is there, `E = Q + channels sum_f log|F_f(k) + epsilon|`,
    and the gradient reaches the encoder through G(z). Without, the determinant is left out as the
    constant that a large epsilon makes it, and k is held constant, or the encoder would move z to
    kernels of small weights with nothing opposing it. In nats up to constants.

    Options:
      kernel: "generator" (G), a fixed "gaussian", or "delta", with which `E = l2 / (1 + C)^2`.
      variance: of the Gaussian, in pixels squared; for a sigma give its square.
      size: side of the kernel, odd. By default 11 for images to 128 pixels (the shorter side), 41
        from 256, on a line in between, and never more than the image.
      c: C above; the smaller, the more weight on what is blurred.
      epsilon: see above. The paper's large one is None; its ELBO takes 0.5; small may be 0.001.
      warmup: epochs of the full budget with W = 1 and no determinant, so `1/2 ||x - y||^2`, while
        G trains already. `start_epoch` tells the time; before its first call the form is the full
        one, as it is for final models.
      likelihood: "paper" is E above, whose weight and determinant belong to two covariances. The
        others are Gaussians with all constants: "inverse-eps" keeps the determinant and has
        `W = 1 / (F(k) + epsilon)`; "wiener-exact" keeps W and has the determinant
        `channels sum_f log((|F_f(k)|^2 + C) / |F_f(k)|)`, with |F| no less than rounding errors.
        At F(k) = -epsilon the former has no bound: with the generator short runs at 0.5 diverged,
        at 1.1, out of reach of |F| <= 1, they did not, nor with fixed kernels.
      range: of the images whose errors count, [0, 1] ("unit") or [-1, 1] ("signed", 4 Q). "auto"
        is signed with `epsilon`, as in the paper's -log p, else unit.
      normalisation: of G's outputs, "softmax" or "abs" (absolute values over their sum).
      padding: of the convolution that G learns with; the covariance is circular always.
      hidden: width of G.

    `density` is True for the two Gaussians with constants: they are -log p(x|z) of the image in
    [0, 1], for "signed" too, where D log 2 more is that of 2x - 1, and during the warm-up that of
    the unit Gaussian. The paper's form is no density.

    The paper's Table 1 is `blur[kernel=gaussian,variance=2]`, `blur[kernel=gaussian,variance=4]`,
    `blur[epsilon=0.001]`, `blur`, `blur[c=0.005]` and `blur[c=0.1]`. Its Table 6 is `paper_nll` of
    a trained `blur` plus the KL divergence.

    Errata resolved: |Sigma| is |K|^2, not 2|K| (section 3.4); eq. 11 has the signs of eq. 8; the
    determinant is that of all channels; z in eq. 10 is the posterior's sample, not the prior's;
    weights do not grow where |F(k)| falls below sqrt C; C / F*(k) can be computed.

    Source: Bredell et al. 2023, eq. 7-12, settings from section 4. Needs `image_shape`, and with
    the generator `latent_size`. Raises `InvalidOption` for values out of range and for images of
    another shape.
    """

    # On photographs of 32x32x3 a short training spends 60 and 12 nats at the ends, as l2.
    beta_range = (0.03, 0.9)

    bins: Tensor
    fixed: Tensor

    def __init__(
        self,
        *,
        kernel: Literal["generator", "gaussian", "delta"] = "generator",
        variance: float = VARIANCE,
        size: int | None = None,
        c: float = 0.025,
        epsilon: float | None = None,
        warmup: float = 10.0,
        likelihood: Likelihood = "paper",
        range: Literal["auto", "unit", "signed"] = "auto",
        normalisation: Literal["softmax", "abs"] = "softmax",
        padding: Literal["circular", "reflect", "zeros"] = "circular",
        hidden: int = HIDDEN,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        _check_numbers(c, warmup, hidden)
        _check_epsilon(epsilon, likelihood)
        kernels.check_variance(variance)
        _check_kind(kernel, variance, normalisation, padding, hidden)
        self.c, self.epsilon, self.likelihood, self.padding = c, epsilon, likelihood, padding
        self.starts_at, self.warming_up = float(warmup), False
        self._set_range(range == "signed" or (range == "auto" and epsilon is not None))
        _, height, width = self.needed_image_shape()
        self.register_buffer("bins", multiplicity(width), persistent=False)
        side = kernels.side(size, height, width)
        if kernel == "generator":
            self.companion = kernels.KernelGenerator(
                self.needed_latent_size(), hidden, side, normalisation, self._initial_draws()
            )
            self.companion_loss = self._blur_error
        else:
            fixed = kernels.delta(side) if kernel == "delta" else kernels.gaussian(side, variance)
            self.register_buffer("fixed", fixed[None], persistent=False)

    def _set_range(self, signed: bool) -> None:
        self.scale = 2.0 if signed else 1.0
        low, high = self.beta_range
        self.beta_range = (self.scale**2 * low, self.scale**2 * high)
        # log 2 for each value: a density of 2x - 1 becomes one of x
        per_value = math.log(2 * math.pi) / 2 - math.log(self.scale)
        self.density = self.likelihood != "paper"
        self.constant = math.prod(self.needed_image_shape()) * per_value if self.density else 0.0

    def _initial_draws(self) -> Generator:
        return self.generator or torch.Generator().manual_seed(0)

    def start_epoch(self, progress: float) -> None:
        """Begin or end the warm-up, `progress` in epochs of the full budget."""
        self.warming_up = progress < self.starts_at

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        error = self.scale * (recon - target)
        if self.warming_up:
            return error.square().flatten(1).sum(1) / 2 + self.constant
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._has_determinant):
            weight, half_log = self._covariance(self._kernels(latent, error.dtype))
        return self._energy(error, weight, half_log) + self.constant

    def _energy(self, error: Tensor, weight: Tensor, half_log: Tensor) -> Tensor:
        """Return `Q + channels half_log` of each image, in the dtype of the errors."""
        power = wiener.power(torch.fft.rfft2(error, norm="ortho")).sum(1)
        Q = wiener.plane_sum(weight.to(error.dtype) * power, self.bins.to(error.dtype)) / 2
        return Q + error.shape[1] * half_log.to(error.dtype)

    @property
    def _has_determinant(self) -> bool:
        return self.epsilon is not None or self.likelihood == "wiener-exact"

    def _kernels(self, latent: Tensor, dtype: torch.dtype) -> Tensor:
        """Return kernels `(B, s, s)` of latents, or the fixed one `(1, s, s)` in float64."""
        if self.companion is None:
            return self.fixed
        found: Tensor = self.companion(latent.to(dtype))
        return found

    def _covariance(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Return `|W|^2` `(B, H, W // 2 + 1)` and `1/2 log|Sigma|` of one channel, `(B,)`."""
        bins = self.bins.to(kernel.dtype)
        K = wiener.transfer(kernel, *self.needed_image_shape()[1:])
        if self.likelihood == "wiener-exact":
            return wiener.exact(K, self.c, bins)
        if self.epsilon is None:
            return wiener.weight(K, self.c), kernel.new_zeros(len(kernel))
        if self.likelihood == "inverse-eps":
            return wiener.inverse(K, self.epsilon, bins)
        return wiener.weight(K, self.c), wiener.log_determinant(K, self.epsilon, bins)

    @torch.no_grad()
    def paper_nll(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, epsilon: float = 0.5
    ) -> Tensor:
        """Return the reconstruction term of the paper's Table 6 of each image, `(B,)`, no gradient.

        `Q + channels sum_f log|F_f(k) + epsilon|` on [-1, 1] whatever the options are, which is the
        energy of `blur[epsilon=0.5]`; images in [0, 1] and of the shape built for, `latent` the
        posterior's sample. In nats without constants, and no density: never comparable with
        another likelihood. Raises `InvalidOption` for another shape and a negative `epsilon`.
        """
        self.check_shape(recon)
        _check_epsilon(epsilon, "paper")
        K = wiener.transfer(self._kernels(latent, recon.dtype), *recon.shape[2:])
        half_log = wiener.log_determinant(K, epsilon, self.bins.to(K.real.dtype))
        return self._energy(2 * (recon - target), wiener.weight(K, self.c), half_log)

    @property
    def paper_form(self) -> str:
        """What `paper_nll` depends on beside epsilon, for the signature of a measurement."""
        kernels = "fixed" if self.companion is None else "own"
        return f"wiener|C={self.c:g}|kernels={kernels}"

    def _blur_error(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor | None
    ) -> Tensor:
        """Return `||x * G(z) - y||^2`, the mean over the batch, with gradients for G alone."""
        self.check_shape(recon)
        kernel = self._kernels(latent.detach(), recon.dtype)
        x, y = (self._ranged(images.detach()) for images in (target, recon))
        if self.padding != "circular":
            return (wiener.convolve(x, kernel, self.padding) - y).square().sum() / len(y)
        # Parseval: no transform back
        K = wiener.transfer(kernel, *y.shape[2:]).unsqueeze(1)
        error = torch.fft.rfft2(x, norm="ortho") * K - torch.fft.rfft2(y, norm="ortho")
        return wiener.plane_sum(wiener.power(error), self.bins.to(y.dtype)).sum() / len(y)

    def _ranged(self, images: Tensor) -> Tensor:
        return images if self.scale == 1 else self.scale * images - 1

    def snapshot(self, latent: Tensor) -> dict[str, Tensor]:
        """Return the kernels `(B, s, s)` that G predicts, none where the kernel is fixed."""
        return {} if self.companion is None else {"kernels": self._kernels(latent, latent.dtype)}


def _check_numbers(c: float, warmup: float, hidden: int) -> None:
    if not 0 < c < math.inf:
        raise InvalidOption(f"c is {c!r}; give a positive number such as 0.025")
    if not 0 <= warmup < math.inf:
        raise InvalidOption(f"warmup is {warmup!r}; give a number of epochs from 0 on")
    if hidden < 1:
        raise InvalidOption(f"hidden is {hidden!r}; give a positive width such as 1000")


def _check_kind(kernel: str, variance: float, *generators: object) -> None:
    """Refuse what would change nothing but the name of the cell."""
    if kernel != "gaussian" and variance != VARIANCE:
        raise InvalidOption(f"variance is {variance!r}, but kernel={kernel}; set kernel=gaussian")
    usual = ("softmax", "circular", HIDDEN)
    names = ("normalisation", "padding", "hidden")
    for name, value, default in zip(names, generators, usual, strict=True):
        if kernel != "generator" and value != default:
            raise InvalidOption(
                f"{name} is {value!r}, but kernel={kernel} is fixed and has no generator; "
                "leave it out"
            )


def _check_epsilon(epsilon: float | None, likelihood: Likelihood) -> None:
    if epsilon is not None and not 0 <= epsilon < math.inf:
        raise InvalidOption(f"epsilon is {epsilon!r}; give a number from 0 on, or None")
    if likelihood == "inverse-eps" and epsilon is None:
        raise InvalidOption("likelihood='inverse-eps' has epsilon None; give one, such as 0.5")
    if likelihood == "wiener-exact" and epsilon is not None:
        raise InvalidOption(
            f"epsilon is {epsilon!r}, but likelihood='wiener-exact' has none; leave it out"
        )
