import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from harness.metrics import frechet
from harness.metrics.frechet import DistanceTo, Moments, frechet_distance


def features(n: int, dims: int, seed: int, shift: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((dims, dims)) / np.sqrt(dims) + np.eye(dims)
    return generator.standard_normal((n, dims)) @ mixing + shift


def moments(values: np.ndarray) -> Moments:
    accumulated = Moments()
    accumulated.update(values)
    return accumulated


def test_moments_equal_numpy_over_uneven_batches() -> None:
    values = features(501, 12, 0, shift=3)
    accumulated = Moments()
    for batch in np.split(values, [1, 100, 100, 333]):
        accumulated.update(batch)
    assert (accumulated.count, accumulated.dims) == (501, 12)
    np.testing.assert_allclose(accumulated.mean(), values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(accumulated.covariance(), np.cov(values.T), rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 300), max_size=6),
    order=st.randoms(use_true_random=False),
    shift=st.sampled_from([0.0, 50.0]),
)
def test_any_partition_in_any_order_merges_to_the_same_moments(cuts, order, shift) -> None:
    values = features(300, 6, 0, shift)
    parts = [moments(part) for part in np.split(values, sorted(cuts))]
    order.shuffle(parts)
    whole = Moments()
    for part in parts:
        whole.merge(part)
    assert whole.count == 300
    np.testing.assert_allclose(whole.mean(), values.mean(0), rtol=1e-12, atol=1e-12)
    exact = np.cov(values.T)
    np.testing.assert_allclose(whole.covariance(), exact, rtol=0, atol=1e-12 * exact.max())


def _moments_of(seed: int) -> dict[str, np.ndarray]:
    return moments(features(50, 6, seed)).to_arrays()


@pytest.mark.slow
def test_moments_travel_between_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        parts = [Moments.from_arrays(arrays) for arrays in pool.map(_moments_of, range(2))]
    parts[0].merge(parts[1])
    values = np.concatenate([features(50, 6, seed) for seed in range(2)])
    np.testing.assert_allclose(parts[0].covariance(), np.cov(values.T), rtol=1e-11, atol=1e-12)


def test_moments_are_stored_exactly_and_go_on_from_there() -> None:
    values = features(60, 4, 0)
    begun = moments(values[:40])
    stored = Moments.from_arrays(begun.to_arrays())
    assert (stored.mean() == begun.mean()).all()
    assert (stored.covariance() == begun.covariance()).all()
    stored.update(values[40:])
    np.testing.assert_allclose(stored.covariance(), np.cov(values.T), rtol=1e-10)
    assert begun.count == 40  # the arrays are copies
    arrays = begun.to_arrays()
    with pytest.raises(ValueError, match="lack mean, scatter"):
        Moments.from_arrays({"count": arrays["count"]})
    with pytest.raises(ValueError, match=r"mean of shape \(4,\) and a scatter of \(3, 3\)"):
        Moments.from_arrays({**arrays, "scatter": arrays["scatter"][:3, :3]})


def test_distances_to_one_set_share_its_factor() -> None:
    real = moments(features(300, 12, 0))
    distance = DistanceTo(real)
    for seed in (1, 2):
        other = moments(features(200, 12, seed, shift=0.3))
        assert distance(other) == frechet_distance(real, other)


def test_a_mean_a_million_times_the_spread_costs_no_digits() -> None:
    values = features(400, 5, 0) + 1e6
    accumulated = Moments()
    for batch in np.split(values, 8):
        accumulated.update(batch)
    np.testing.assert_allclose(accumulated.covariance(), np.cov(values.T), rtol=1e-8)


def test_tensors_of_any_dtype_are_taken() -> None:
    values = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    accumulated = Moments()
    accumulated.update(values)
    np.testing.assert_allclose(
        accumulated.covariance(), np.cov(values.detach().double().numpy().T), rtol=1e-10
    )


def test_distance_equals_scipy_on_well_conditioned_covariances() -> None:
    x, y = features(2000, 64, 0), features(1500, 64, 1, shift=0.2)
    root = sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    expected += np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-9)


def test_distance_of_diagonal_gaussians_by_hand() -> None:
    # Independent columns of ±a have variance a² n/(n-1), so the distance is Σ (a - b)² n/(n-1)
    # plus the squared shift.
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float)
    a, b = moments(signs * [1, 2]), moments(signs * [3, 5] + [10, 0])
    assert frechet_distance(a, b) == pytest.approx((4 + 9) * 4 / 3 + 100)


def test_distance_is_symmetric_and_zero_only_to_itself() -> None:
    a, b = moments(features(200, 10, 0)), moments(features(200, 10, 1))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a, b) > 1


def test_singular_covariances_give_a_finite_distance() -> None:
    x, y = features(10, 32, 0), features(12, 32, 1)
    a, b = moments(x), moments(y)
    assert a.singular and not moments(features(33, 32, 0)).singular
    # For centred data the trace term is the nuclear norm of the cross product: no root is taken.
    u, v = x - x.mean(0), y - y.mean(0)
    nuclear = np.linalg.svd(u @ v.T, compute_uv=False).sum() / np.sqrt(9 * 11)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    expected += np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * nuclear
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_constant_features_leave_the_distance_of_means() -> None:
    a, b = moments(np.zeros((5, 3))), moments(np.full((5, 3), 2.0))
    assert frechet_distance(a, b) == pytest.approx(12)


def test_not_a_number_is_handed_on() -> None:
    broken = features(20, 4, 0)
    broken[3, 1] = np.nan
    assert math.isnan(frechet_distance(moments(broken), moments(features(20, 4, 1))))


def test_signature_names_what_the_distance_depends_on() -> None:
    text = frechet.signature("random", 1000, 500)
    assert text == "frechet|eigh-float64|random|dims=64|n=1000,500|v1"
    assert "|singular|" in frechet.signature("inception", 10000, 2048)
    detailed = frechet.signature("squeezenet|dims=512|weights=ab", 600, 600)
    assert "squeezenet|dims=512|weights=ab|n=600,600" in detailed
    # Another tap of one network is singular at another count.
    tap = "inception|dims=192|pytorch-fid"
    assert "singular" not in frechet.signature(tap, 500, 500)
    with pytest.raises(ValueError, match="'vgg' are unknown"):
        frechet.signature("vgg", 10, 10)


def test_misuse_is_refused() -> None:
    one = moments(features(1, 3, 0))
    with pytest.raises(ValueError, match="Moments of 1 images"):
        one.covariance()
    with pytest.raises(ValueError, match="Moments of 0 images"):
        Moments().mean()
    with pytest.raises(ValueError, match="4 dimensions and the ones before them 3"):
        one.update(features(2, 4, 0))
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        frechet_distance(one, moments(features(9, 4, 0)))
    with pytest.raises(ValueError, match="batch"):
        one.update(np.zeros(3))
