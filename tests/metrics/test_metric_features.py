import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from harness.metrics import FEATURE_DIMS, advice
from harness.metrics.features import Features, MissingFeatureWeights, make
from harness.metrics.frechet import Moments, frechet_distance

# Every 13th feature of the pattern P(2, 3, 16, 16), and the sum of all.
GOLDEN = [
    [0.138208, 0.752174, 1.112422, 0.992612, 1.087579],
    [0.142984, 0.704231, 1.109369, 0.000000, 0.778954],
]
GOLDEN_SUM = 99.86167


def distance(extractor: Features, a: Tensor, b: Tensor) -> float:
    moments = Moments(), Moments()
    for accumulated, images in zip(moments, (a, b), strict=True):
        accumulated.update(extractor(images))
    return frechet_distance(*moments)


def documented_features(image: np.ndarray) -> np.ndarray:
    """Follow the docstring of `RandomFeatures` step by step on one `(C, H, W)` image."""
    generator = np.random.Generator(np.random.PCG64(0))
    w1, w2, w3 = (
        generator.standard_normal((out, inp, 3, 3)) * (2 / (9 * inp)) ** 0.5
        for out, inp in ((16, 3), (32, 16), (16, 32))
    )
    for odd in range(1, 16, 2):
        for channel in range(3):
            w1[odd, channel] = 4 * (w1[odd, channel] - w1[odd, channel].mean())
    x = np.rint(np.clip(image, 0, 1) * 255) / 255 * 2 - 1
    x = np.concatenate([x] * 3) if len(x) == 1 else x
    a1 = convolve(np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge"), w1, 1)
    a2 = convolve(np.pad(a1, ((0, 0), (1, 1), (1, 1))), w2, 2)
    a3 = convolve(np.pad(a2, ((0, 0), (1, 1), (1, 1))), w3, 2)
    return np.concatenate([f(a, axis=(1, 2)) for a in (a1, a3) for f in (np.mean, np.std)])


def convolve(maps: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    sums = [
        sum(correlate2d(m, k, mode="valid") for m, k in zip(maps, w, strict=True)) for w in weight
    ]
    return np.maximum(np.stack(sums)[:, ::stride, ::stride], 0)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 28, 28), (3, 9, 14)])
def test_random_features_are_what_their_docstring_says(shape: tuple[int, int, int]) -> None:
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    expected = np.stack([documented_features(image) for image in images.double().numpy()])
    np.testing.assert_allclose(make("random", shape[0])(images), expected, atol=1e-5)


def test_random_features_golden(pattern) -> None:
    features = make("random", 3)(pattern(2, 3, 16, 16)[0])
    assert features.shape == (2, 64)
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features[:, ::13], GOLDEN, rtol=1e-4, atol=1e-5)
    assert float(features.double().sum()) == pytest.approx(GOLDEN_SUM, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_distance_grows_with_blur(crops: Tensor, channels: int) -> None:
    data = crops[:, :channels]
    extractor = make("random", channels)
    blurred = [gaussian_blur(data, 21, sigma) for sigma in (0.5, 0.7, 1.0, 1.5, 2.0, 3.0)]
    distances = [distance(extractor, data, images) for images in blurred]
    assert distances == sorted(distances)
    # Blur of one pixel must stand out from the spread between two halves of the data.
    assert distances[2] > 2 * distance(extractor, data[::2], data[1::2])


def test_distance_grows_with_noise(crops: Tensor) -> None:
    noise = torch.randn(crops.shape, generator=torch.Generator().manual_seed(0))
    extractor = make("random", 3)
    noisy = [crops + strength * noise for strength in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)]
    distances = [distance(extractor, crops, images) for images in noisy]
    assert distances == sorted(distances)
    assert distances[2] > 2 * distance(extractor, crops[::2], crops[1::2])


def test_distance_sees_colour(crops: Tensor) -> None:
    extractor = make("random", 3)
    halves = distance(extractor, crops[::2], crops[1::2])
    grey = crops.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert distance(extractor, crops, grey) > 2 * halves
    assert distance(extractor, crops, crops.flip(1)) > 2 * halves


def test_no_feature_is_dead(crops: Tensor) -> None:
    assert (make("random", 3)(crops).std(0) > 1e-4).all()


def test_features_of_an_image_do_not_depend_on_its_batch(crops: Tensor) -> None:
    extractor = make("random", 3)
    apart = torch.cat([extractor(image[None]) for image in crops[:4]])
    torch.testing.assert_close(extractor(crops)[:4], apart, rtol=1e-5, atol=1e-6)


def test_images_are_seen_as_8_bit_and_grey_as_rgb(crops: Tensor) -> None:
    assert torch.equal(make("random", 3)(crops[:4] + 0.4 / 255), make("random", 3)(crops[:4]))
    grey = crops[:4, :1]
    assert torch.equal(make("random", 1)(grey), make("random", 3)(grey.repeat(1, 3, 1, 1)))


def test_autocast_and_gradients_are_kept_out(crops: Tensor) -> None:
    extractor, images = make("random", 3), crops[:4].clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = extractor(images)
    assert not features.requires_grad
    assert torch.equal(features, extractor(images))


def test_making_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    make("random", 3)
    assert torch.equal(before, torch.get_rng_state())


def test_name_dims_and_signature_agree() -> None:
    extractor = make("random", 3)
    assert (extractor.name, extractor.dims) == ("random", FEATURE_DIMS["random"])
    assert extractor.signature.startswith("random|dims=64|")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_features(crops: Tensor) -> None:
    extractor = make("random", 3)
    expected = extractor(crops)
    assert isinstance(extractor, torch.nn.Module)
    found = extractor.to("cuda")(crops.to("cuda")).cpu()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["squeezenet", "inception"])
def test_missing_weights_are_named(name: str, tmp_path) -> None:
    with pytest.raises(MissingFeatureWeights, match=f"'{name}' need .* no path was given"):
        make(name, 3)
    with pytest.raises(MissingFeatureWeights, match=r"absent\.pth is not a file"):
        make(name, 3, {name: tmp_path / "absent.pth"})


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="'vgg' are unknown; choose one of random"):
        make("vgg", 3)
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        make("random", 4)
    for shape in ((2, 1, 16, 16), (2, 3, 7, 16), (3, 16, 16)):
        with pytest.raises(ValueError, match="at least 8 pixels"):
            make("random", 3)(torch.zeros(shape))


def test_learned_features_of_grey_images_come_with_advice() -> None:
    assert advice("random", 1) is None and advice("inception", 3) is None
    for space in ("inception", "squeezenet", "squeezenet-caffe"):
        text = advice(space, 1)
        assert text is not None and text.endswith(".") and "'random'" in text
    assert str(advice("inception", 1)).startswith("Inception features were learned from colour")
