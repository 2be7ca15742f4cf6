import numpy as np
import pytest
import torch

from harness.metrics.spectrum import LogSpectrum, spectral_difference


def log_spectrum(images: torch.Tensor) -> torch.Tensor:
    spectrum = LogSpectrum()
    for batch in images.split(3):
        spectrum.update(batch)
    return spectrum.mean()


def test_difference_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    absolute, signed = spectral_difference(log_spectrum(recon), log_spectrum(target))
    assert absolute == pytest.approx(1.517149, rel=1e-4)
    assert signed == pytest.approx(-1.494650, rel=1e-4)


def test_spectrum_equals_numpy(crops) -> None:
    amplitude = np.abs(np.fft.fft2(crops[:8].double().numpy()))
    expected = np.fft.fftshift(np.log(amplitude + 1e-8).mean((0, 1)))
    np.testing.assert_allclose(log_spectrum(crops[:8]), expected, atol=1e-4)


def test_blur_is_a_positive_signed_difference(crops) -> None:
    blurred = torch.nn.functional.avg_pool2d(crops[:32], 3, stride=1, padding=1)
    absolute, signed = spectral_difference(log_spectrum(blurred), log_spectrum(crops[:32]))
    assert 0.2 < signed <= absolute


def test_scaling_shifts_every_frequency_by_its_logarithm(crops) -> None:
    difference = spectral_difference(log_spectrum(crops[:8] / 2), log_spectrum(crops[:8]))
    assert difference == pytest.approx((np.log(2), np.log(2)), abs=1e-4)


def test_a_wave_peaks_at_its_frequency() -> None:
    wave = torch.cos(2 * torch.pi * 5 * torch.arange(32) / 32).expand(1, 1, 32, 32)
    spectrum = log_spectrum(wave)
    row, column = divmod(int(spectrum.argmax()), 32)
    assert (row, abs(column - 16)) == (16, 5)


def test_misuse_is_refused() -> None:
    spectrum = LogSpectrum()
    with pytest.raises(ValueError, match="No images"):
        spectrum.mean()
    spectrum.update(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="8x9"):
        spectrum.update(torch.zeros(1, 1, 8, 9))
    with pytest.raises(ValueError, match="batch"):
        spectrum.update(torch.zeros(8, 8))
    with pytest.raises(ValueError, match="one size"):
        spectral_difference(torch.zeros(8, 8), torch.zeros(1, 1))
