import numpy as np
import pytest
from prdc import compute_prdc

from harness.metrics import neighbours
from harness.metrics.neighbours import neighbourhoods


def features(n: int, seed: int, shift: float = 0.0, dims: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dims)) + shift


@pytest.mark.parametrize("held", [2**23, 1000])
@pytest.mark.parametrize(
    ("real", "generated", "shift"), [(400, 300, 0), (150, 260, 1), (80, 80, 4)]
)
def test_equals_prdc(real, generated, shift, held, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "HELD", held)
    monkeypatch.setattr(neighbours, "COLUMNS", 70)
    x, y = features(real, 0), features(generated, 1, shift)
    found = neighbourhoods(x, y)
    assert found.__dict__ == pytest.approx(compute_prdc(x, y, 5), abs=1e-12)


def test_float32_far_from_the_origin_loses_nothing() -> None:
    x, y = features(200, 0), features(200, 1, 0.5)
    moved = [(values + 1000).astype(np.float32) for values in (x, y)]
    exact = [values.astype(np.float64) - 1000 for values in moved]
    assert neighbourhoods(*moved) == neighbourhoods(*exact)


def test_points_on_a_line_by_hand() -> None:
    # k = 1. Real balls: 0 ± 1, 1 ± 1, 3 ± 2; generated: 0.5 ± 3.5, 4 ± 3.5, 20 ± 16. The image at
    # 0.5 lies in the first two real balls, 4 in the third, 20 in none.
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [4.0], [20.0]])
    found = neighbourhoods(real, generated, k=1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.density == pytest.approx((2 + 1 + 0) / 3)
    assert found.recall == found.coverage == 1


def test_the_rim_is_outside() -> None:
    # Each real ball reaches to 2 exactly, where the generated images lie.
    real, generated = np.array([[0.0], [2.0]]), np.array([[-2.0], [4.0]])
    found = neighbourhoods(real, generated, k=1)
    assert (found.precision, found.density, found.coverage) == (0, 0, 0)
    assert found.recall == 1


def test_a_collapsed_set_is_precise_but_covers_little() -> None:
    x = features(500, 0, dims=2)
    found = neighbourhoods(x, 0.01 * features(500, 1, dims=2))
    assert found.precision > 0.9 and found.recall < 0.1 and found.coverage < 0.2
    assert found.density > 0.5


def test_copies_of_the_data_are_in_every_neighbourhood() -> None:
    x = features(100, 0)
    found = neighbourhoods(x, x.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


def test_misuse_is_refused_and_the_signature_says_the_rule() -> None:
    with pytest.raises(ValueError, match=r"5 deep among 5 real and 9 .* at least 6 of each"):
        neighbourhoods(features(5, 0), features(9, 0))
    with pytest.raises(ValueError, match="of one extractor"):
        neighbourhoods(features(9, 0), features(9, 0, dims=3))
    assert neighbours.NEEDS == 6
    text = neighbours.signature("random|dims=64", 100, 90)
    assert text == "prdc|k=5|euclidean|strict|float64|random|dims=64|n=90,100|v1"
