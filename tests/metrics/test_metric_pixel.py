import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from harness.metrics import pixel


def skimage_ssim(recon: Tensor, target: Tensor) -> np.ndarray:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(recon.double().numpy(), target.double().numpy(), strict=True)
    return np.array(
        [structural_similarity(x, y, data_range=1, channel_axis=0, **options) for x, y in pairs]
    )


def test_psnr_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    values = pixel.psnr(recon, target, rounding=False)
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx([26.0441, 26.0169], abs=1e-4)


def test_mse_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    assert float(pixel.mse(recon, target).mean()) == pytest.approx(0.00249430, abs=1e-8)


def test_psnr_of_one_grey_level_by_hand() -> None:
    target = torch.zeros(1, 1, 4, 4)
    assert float(pixel.psnr(target + 1 / 255, target)) == pytest.approx(20 * math.log10(255))


def test_psnr_rounds_and_clips_the_reconstruction() -> None:
    target = torch.full((1, 1, 4, 4), 100 / 255)
    assert float(pixel.psnr(target + 0.4 / 255, target)) == pixel.PSNR_CAP
    assert float(pixel.psnr(target + 0.4 / 255, target, rounding=False)) < 60
    assert float(pixel.psnr(torch.full((1, 1, 4, 4), 7.0), torch.ones(1, 1, 4, 4))) == 100


def test_psnr_is_capped_for_identical_images_and_keeps_nan() -> None:
    target = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    recon = target.clone()
    recon[1, 0, 0, 0] = torch.nan
    identical, broken = pixel.psnr(recon, target, rounding=False).tolist()
    assert identical == 100
    assert math.isnan(broken)


def test_lfd_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    values = pixel.lfd(recon, target, rounding=False)
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx([13.403410, 13.409676], abs=1e-5)


def test_lfd_is_the_distance_of_the_transforms(crops) -> None:
    target = crops[:8].mul(255).round()
    recon = crops[:8].flip(3).mul(255).round()
    error = np.fft.fft2(recon.double().numpy()) - np.fft.fft2(target.double().numpy())
    expected = np.log((np.abs(error) ** 2).mean((1, 2, 3)) + 1)
    np.testing.assert_allclose(pixel.lfd(recon / 255, target / 255), expected, rtol=1e-7)


def test_lfd_follows_from_psnr_alone(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    from_psnr = math.log(64 * 64 * 255**2) - 0.1 * math.log(10) * pixel.psnr(recon, target)
    torch.testing.assert_close(pixel.lfd(recon, target), from_psnr, rtol=0, atol=1e-5)
    assert pixel.lfd(target, target, rounding=False).tolist() == [0, 0]


@pytest.mark.parametrize("size", [(64, 64), (11, 11), (11, 40), (33, 29)])
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_skimage(size: tuple[int, int], channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(5, channels, *size, generator=generator)
    noise = torch.randn(target.shape, generator=generator)
    recon = (target + 0.1 * noise).clamp(0, 1)
    np.testing.assert_allclose(
        pixel.ssim(recon, target), skimage_ssim(recon, target), rtol=0, atol=1e-10
    )


def test_ssim_equals_skimage_on_flat_bright_regions_and_photographs(crops) -> None:
    flat = torch.full((2, 3, 32, 32), 0.999)
    flat[1] -= 1e-4 * torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    target = torch.cat([crops[:30], flat])
    recon = torch.cat([crops[:30].mean((2, 3), keepdim=True).expand(-1, -1, 32, 32), flat.flip(0)])
    np.testing.assert_allclose(
        pixel.ssim(recon, target), skimage_ssim(recon, target), rtol=0, atol=1e-10
    )


def test_ssim_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    assert float(pixel.ssim(recon, target).mean()) == pytest.approx(0.80459, abs=1e-5)


def test_ssim_of_an_image_does_not_depend_on_its_batch() -> None:
    target, recon = torch.rand(2, 40, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    together = pixel.ssim(recon, target)
    apart = torch.cat([pixel.ssim(recon[i : i + 1], target[i : i + 1]) for i in range(40)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)


def test_ssim_of_an_image_with_itself_is_one(crops) -> None:
    torch.testing.assert_close(pixel.ssim(crops[:4], crops[:4]), torch.ones(4).double())


def test_small_images_and_unequal_shapes_are_refused() -> None:
    small = torch.zeros(1, 1, 10, 32)
    with pytest.raises(ValueError, match="10x32 and its window is 11x11"):
        pixel.ssim(small, small)
    for metric in (pixel.mse, pixel.psnr, pixel.lfd, pixel.ssim):
        with pytest.raises(ValueError, match="same shape"):
            metric(torch.zeros(2, 1, 16, 16), torch.zeros(2, 3, 16, 16))
        with pytest.raises(ValueError, match="same shape"):
            metric(torch.zeros(16, 16), torch.zeros(16, 16))
