import math

import numpy as np
import pytest
import torch

from harness.metrics.phase import phase_error
from harness.metrics.spectrum import (
    LogSpectrum,
    high_frequency_difference,
    radial_profile,
    spectral_difference,
)


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


def test_radial_profile_by_hand() -> None:
    profile = radial_profile(torch.arange(16.0).view(4, 4))  # frequency zero holds 10
    # Radius 1: 6, 9, 11, 14 beside it and 5, 7, 13, 15 at the corners, 1.41 away; radius 2: 2, 8
    # straight and 1, 3, 4, 12 at 2.24; 0 lies beyond.
    expected = [10, 80 / 8, (2 + 8 + 1 + 3 + 4 + 12) / 6]
    assert profile.tolist() == pytest.approx(expected)


def test_radial_profile_of_a_spectrum_of_its_radius() -> None:
    for shape in ((32, 32), (33, 33), (24, 40)):
        side = min(shape)
        y, x = (np.fft.fftshift(np.fft.fftfreq(size)) for size in shape)
        radius = torch.from_numpy(np.hypot(y[:, None], x) * side)
        profile = radial_profile(radius)
        assert len(profile) == side // 2 + 1
        np.testing.assert_allclose(profile, np.arange(side // 2 + 1), atol=0.3)


def test_high_frequency_difference_sees_the_highest_third_alone() -> None:
    data, other = torch.zeros(2, 48, 48, dtype=torch.float64)
    axis = torch.arange(48) - 24
    radius = torch.hypot(axis[:, None].double(), axis.double())
    other[radius < 16] = 5
    assert high_frequency_difference(other, data) == 0
    other[radius > 16.5] = -2
    assert high_frequency_difference(other, data) == pytest.approx(2)
    assert high_frequency_difference(data, other) == pytest.approx(2)


def test_blur_lowers_high_frequencies(crops) -> None:
    blurred = torch.nn.functional.avg_pool2d(crops[:32], 3, stride=1, padding=1)
    sharp, soft = log_spectrum(crops[:32]), log_spectrum(blurred)
    # A mean of three pixels passes between 0 and 1/3 of frequencies above 1/3 cycles per pixel.
    assert high_frequency_difference(soft, sharp) > 0.5


def test_phase_error_equals_numpy(crops) -> None:
    recon, target = crops[:6], crops[6:12]
    made, wanted = (np.fft.fft2(images.double().numpy()) for images in (recon, target))
    difference = np.angle(made) - np.angle(wanted)
    angle = np.abs((difference + np.pi) % (2 * np.pi) - np.pi)
    weight = np.abs(wanted)
    weight[..., 0, 0] = 0
    expected = (angle * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))
    np.testing.assert_allclose(phase_error(recon, target), expected, atol=1e-9)


def test_phase_error_of_known_changes(crops) -> None:
    target = crops[:8]
    assert float(phase_error(target, target).max()) < 1e-9
    assert float(phase_error(0.5 * target + 0.2, target).max()) < 1e-4
    torch.testing.assert_close(phase_error(1 - target, target), torch.full((8,), math.pi).double())
    noise = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(phase_error(noise, target).mean()) == pytest.approx(math.pi / 2, abs=0.1)


def test_phase_error_of_a_shifted_wave_is_its_angle() -> None:
    position = torch.arange(32).double()
    waves = [0.5 + 0.5 * torch.cos(2 * torch.pi * 3 * position / 32 + turn) for turn in (0, 0.7)]
    target, recon = (wave.expand(1, 1, 32, 32) for wave in waves)
    assert float(phase_error(recon, target)) == pytest.approx(0.7, abs=1e-9)


def test_flat_images_have_no_phase(crops) -> None:
    flat = torch.full_like(crops[:2], 0.3)
    for pair in ((flat, crops[:2]), (crops[:2], flat), (flat, flat)):
        assert phase_error(*pair).tolist() == pytest.approx([math.pi / 2] * 2, abs=1e-9)


def test_phase_error_does_not_depend_on_the_batch_and_keeps_nan(crops) -> None:
    recon, target = crops[:100].clone(), crops[100:200]
    recon[3] = torch.nan
    together = phase_error(recon, target)
    apart = torch.cat([phase_error(recon[i : i + 1], target[i : i + 1]) for i in range(100)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12, equal_nan=True)
    assert together.isnan().nonzero().tolist() == [[3]]


def test_misuse_of_profiles_and_phases_is_refused() -> None:
    with pytest.raises(ValueError, match="one of"):
        radial_profile(torch.zeros(1, 8, 8))
    with pytest.raises(ValueError, match="one size"):
        high_frequency_difference(torch.zeros(8, 8), torch.zeros(8, 9))
    with pytest.raises(ValueError, match="at least 4"):
        high_frequency_difference(torch.zeros(3, 8), torch.zeros(3, 8))
    with pytest.raises(ValueError, match="same shape"):
        phase_error(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8))
