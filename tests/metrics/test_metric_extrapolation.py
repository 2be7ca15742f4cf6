import numpy as np
import pytest

from harness.metrics import extrapolation
from harness.metrics.extrapolation import affordable, infinity, interval, needs
from harness.metrics.frechet import Moments, frechet_distance

DIMS = 8


def features(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return (draws.standard_normal((n, DIMS)) + shift).astype(np.float32)


def moments(values: np.ndarray) -> Moments:
    found = Moments()
    found.update(values)
    return found


@pytest.fixture(scope="module")
def real() -> Moments:
    return moments(features(200_000, 99))


def test_infinity_removes_the_bias_of_few_images(real: Moments) -> None:
    # Of one distribution the distance is all bias; of a shifted one 8 * 0.2² = 0.32 is right.
    for shift, truth in ((0.0, 0.0), (0.2, DIMS * 0.2**2)):
        made = [features(400, seed, shift) for seed in range(12)]
        plain = np.mean([frechet_distance(real, moments(values)) for values in made])
        beyond = np.mean([infinity(real, values) for values in made])
        assert plain - truth > 0.03
        assert abs(beyond - truth) < 0.3 * (plain - truth)


def test_infinity_is_the_intercept_over_inverse_counts(monkeypatch, real: Moments) -> None:
    class Line:
        """A distance that is exactly linear in 1/n."""

        def __init__(self, moments: Moments) -> None:
            assert moments is real

        def __call__(self, part: Moments) -> float:
            counts.append(part.count)
            return 3 + 50 / part.count

    counts: list[int] = []
    monkeypatch.setattr(extrapolation, "DistanceTo", Line)
    assert infinity(real, features(1000, 0)) == pytest.approx(3, abs=1e-9)
    assert len(set(counts)) >= 10 and (min(counts), max(counts)) == (100, 1000)
    counts.clear()
    infinity(real, features(40, 0))
    assert min(counts) == DIMS + 1  # no subset with a singular covariance


def test_interval_covers_the_expected_distance_as_often_as_it_says(real: Moments, monkeypatch):
    monkeypatch.setattr(extrapolation, "HALVES", 60)
    made = [features(300, seed, 0.1) for seed in range(80)]
    found = [frechet_distance(real, moments(values)) for values in made]
    ends = [interval(real, values) for values in made]
    assert all(low < each < high for each, (low, high) in zip(found, ends, strict=True))
    covered = np.mean([low < np.mean(found) < high for low, high in ends])
    assert 0.85 <= covered <= 1.0
    # Neither too wide: about four standard deviations of the distance itself.
    width = np.mean([high - low for low, high in ends])
    assert width == pytest.approx(3.92 * np.std(found), rel=0.3)


def test_both_are_reproducible_and_leave_the_global_generator_alone(real: Moments) -> None:
    values, state = features(100, 0), np.random.get_state()[1].copy()
    assert infinity(real, values) == infinity(real, values)
    assert interval(real, values) == interval(real, values)
    assert (np.random.get_state()[1] == state).all()


def test_cost_is_known_before() -> None:
    assert affordable(64, 50_000) and affordable(512, 10_000)
    assert not affordable(2048, 4098) and not affordable(2048, 10_000)


def test_too_few_images_are_refused(real: Moments) -> None:
    assert needs(DIMS) == 18
    for function in (infinity, interval):
        function(real, features(18, 0))
        with pytest.raises(ValueError, match=r"from 17 generated images .* at least 18"):
            function(real, features(17, 0))
        with pytest.raises(ValueError, match=r"pass \(N, dims\)"):
            function(real, np.zeros(9))


def test_signatures_name_the_subsets() -> None:
    assert extrapolation.signature("s", "infinity") == "s|infinity|sizes=15|pcg64=0|v1"
    assert extrapolation.signature("s", "interval") == "s|interval|95%|halves=100|pcg64=0|v1"
