import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from skimage.color import rgb2gray

from harness.metrics import sharpness


def test_laplacian_golden(pattern) -> None:
    values = sharpness.laplacian_variance(pattern(2, 3, 64, 64)[0])
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx([2.609452, 2.610505], rel=1e-5)


def test_laplacian_equals_scipy(crops) -> None:
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    grey = 255 * (crops[:4].double().numpy().transpose(0, 2, 3, 1) @ [0.299, 0.587, 0.114])
    expected = [convolve(image, kernel)[1:-1, 1:-1].var() for image in grey]
    np.testing.assert_allclose(sharpness.laplacian_variance(crops[:4]), expected, rtol=1e-9)


def test_luma_is_not_that_of_television_hd(crops) -> None:
    grey = 255 * rgb2gray(crops[:1].numpy().transpose(0, 2, 3, 1))  # BT.709
    assert float(np.abs(sharpness.luma(crops[:1]).numpy() - grey).max()) > 1


def test_grey_images_equal_the_same_in_colours(crops) -> None:
    grey = crops[:4, :1]
    torch.testing.assert_close(
        sharpness.laplacian_variance(grey), sharpness.laplacian_variance(grey.expand(-1, 3, -1, -1))
    )


def test_blur_golden(pattern) -> None:
    target, recon = pattern(2, 1, 32, 32)
    assert sharpness.edge_strength(target).tolist() == pytest.approx([0.362673, 0.363486], abs=1e-6)
    values = sharpness.blur_percentage(recon, target)
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx([7.79540, 7.92979], rel=1e-4)


def test_edge_strength_by_hand() -> None:
    bright, dark = torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5)
    bright[..., 2, 2], dark[..., 2, 2] = 1, 0
    # A bright pixel is the steepest rise of its eight neighbours and falls to all of them.
    assert float(sharpness.edge_strength(bright)) == pytest.approx((8 - 1) / 9)
    assert float(sharpness.edge_strength(dark)) == pytest.approx(1 / 9)


def test_blurring_a_photograph_raises_the_blur_and_lowers_the_laplacian(crops) -> None:
    target = crops[:16]
    stages = [
        torch.from_numpy(gaussian_filter(target.numpy(), (0, 0, sigma, sigma)))
        for sigma in (0.5, 1.0, 2.0)
    ]
    blur = [float(sharpness.blur_percentage(stage, target).mean()) for stage in stages]
    focus = [float(sharpness.laplacian_variance(stage).mean()) for stage in [target, *stages]]
    assert 0 < blur[0] < blur[1] < blur[2] < 100
    assert focus == sorted(focus, reverse=True)


def test_blur_of_sets_is_that_of_their_means() -> None:
    ours, data = torch.tensor(0.3), torch.tensor(0.4)
    assert float(sharpness.blur_between(ours, data)) == pytest.approx(25)


def test_flat_images() -> None:
    flat = torch.full((1, 3, 8, 8), 0.3)
    textured = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(sharpness.laplacian_variance(flat)) == pytest.approx(0, abs=1e-20)
    assert float(sharpness.blur_percentage(flat, textured)) == 100
    assert sharpness.blur_percentage(textured, flat).isnan().all()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 pixels a side"):
        sharpness.laplacian_variance(torch.zeros(1, 1, 2, 8))
    with pytest.raises(ValueError, match="2 channels"):
        sharpness.laplacian_variance(torch.zeros(1, 2, 8, 8))
    with pytest.raises(ValueError, match="pass a batch"):
        sharpness.edge_strength(torch.zeros(8, 8))
    with pytest.raises(ValueError, match="same shape"):
        sharpness.blur_percentage(torch.zeros(1, 1, 8, 8), torch.zeros(2, 1, 8, 8))
