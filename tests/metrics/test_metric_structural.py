import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.metrics import structural


def noisy(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return smooth random images with detail, and the same with noise."""
    generator = torch.Generator().manual_seed(seed)
    target = F.avg_pool2d(torch.rand(shape, generator=generator), 5, 1, 2)
    target = (target + 0.2 * torch.rand(shape, generator=generator)).clamp(0, 1)
    return (target + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1), target


def padded_by_convolution(recon: Tensor, target: Tensor) -> Tensor:
    """Return the SSIM of Po-Hsun Su's definition, map by map."""
    line = torch.exp(-((torch.arange(11.0).double() - 5) ** 2) / 4.5)
    line = line / line.sum()
    channels = recon.shape[1]
    window = torch.outer(line, line).expand(channels, 1, 11, 11)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, window, padding=5, groups=channels)

    x, y = recon.double(), target.double()
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    above = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2)
    return (above / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))).mean((1, 2, 3))


@pytest.mark.parametrize("size", [(64, 64), (28, 28), (7, 5), (37, 50)])
def test_padded_ssim_equals_convolution_with_zeros(size: tuple[int, int]) -> None:
    recon, target = noisy(3, 3, *size)
    expected = padded_by_convolution(recon, target)
    found = structural.ssim_padded(recon, target)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_padded_ssim_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    assert float(structural.ssim_padded(recon, target).mean()) == pytest.approx(0.8224365, abs=1e-6)


@pytest.mark.parametrize("side", [192, 256])
def test_five_scales_equal_pytorch_msssim(side: int) -> None:
    from pytorch_msssim import ms_ssim

    recon, target = noisy(2, 3, side, side)
    expected = ms_ssim(recon.double(), target.double(), data_range=1.0, size_average=False)
    # The package's window and exponents are float32.
    torch.testing.assert_close(structural.ms_ssim(recon, target), expected, rtol=0, atol=4e-6)


def test_ms_ssim_golden(pattern) -> None:
    target, recon = pattern(1, 3, 256, 256)
    assert float(structural.ms_ssim(recon, target)) == pytest.approx(0.9911793, abs=1e-6)


@pytest.mark.parametrize(("side", "scales"), [(64, 3), (44, 3), (32, 2)])
def test_fewer_scales_equal_piq(side: int, scales: int) -> None:
    from piq import multi_scale_ssim

    recon, target = noisy(2, 3, side, side)
    weights = torch.tensor([0.0448, 0.2856, 0.3001][:scales], dtype=torch.float64)
    expected = multi_scale_ssim(
        recon.double(), target.double(), scale_weights=weights / weights.sum(), reduction="none"
    )
    torch.testing.assert_close(structural.ms_ssim(recon, target), expected, rtol=0, atol=1e-6)


def test_number_of_scales_by_size() -> None:
    sizes = (20, 21, 40, 41, 160, 161)
    assert [structural.ms_ssim_scales(side, 300) for side in sizes] == [0, 2, 2, 3, 3, 5]
    assert structural.ms_ssim_scales(300, 20) == 0
    assert structural.ms_ssim_signature(64, 64) != structural.ms_ssim_signature(256, 256)
    assert "scales=3|wang2003-renormalised" in structural.ms_ssim_signature(64, 64)


def test_the_smallest_sizes_of_each_number_of_scales_work() -> None:
    for side in (21, 41, 161):
        recon, target = noisy(1, 1, side, side)
        assert 0 < float(structural.ms_ssim(recon, target)) < 1
        assert float(structural.ms_ssim(target, target)) == 1


def test_negative_structure_counts_as_zero() -> None:
    target = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert float(structural.ms_ssim(1 - target, target)) == 0


@pytest.mark.parametrize("metric", [structural.ssim_padded, structural.ms_ssim])
def test_an_image_does_not_depend_on_its_batch(metric) -> None:
    recon, target = noisy(70, 1, 64, 64)
    together = metric(recon, target)
    apart = torch.cat([metric(recon[i : i + 1], target[i : i + 1]) for i in range(70)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)
    torch.testing.assert_close(metric(target, recon), together)


def test_small_images_and_unequal_shapes_are_refused() -> None:
    small = torch.zeros(1, 1, 20, 64)
    with pytest.raises(ValueError, match="20x64, too small for two scales"):
        structural.ms_ssim(small, small)
    for metric in (structural.ssim_padded, structural.ms_ssim):
        with pytest.raises(ValueError, match="same shape"):
            metric(torch.zeros(2, 1, 64, 64), torch.zeros(2, 3, 64, 64))
