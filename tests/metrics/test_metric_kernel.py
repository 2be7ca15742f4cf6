import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from harness.metrics import kernel
from harness.metrics.kernel import kernel_distance, mmd2


def features(n: int, seed: int, shift: float = 0.0, dims: int = 16) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return (draws.standard_normal((n, dims)).clip(0) + shift).astype(np.float32)


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Follow Bińkowski et al., eq. 4, pair by pair."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a.astype(float) @ b.astype(float)) / len(a) + 1) ** 3

    m, n = len(x), len(y)
    total = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    total += sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return total - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_discrepancy_by_hand_with_unequal_counts() -> None:
    x, y = features(7, 0), features(5, 1, 0.3)
    assert mmd2(x, y) == pytest.approx(by_hand(x, y), rel=1e-12)


def test_discrepancy_of_whole_sets_equals_torch_fidelity(monkeypatch) -> None:
    x, y = features(300, 0), features(300, 1, 0.1)
    options = {"kid_kernel": "poly"}
    expected = float(kernel_mmd(x.astype(float), y.astype(float), **options))
    monkeypatch.setattr(kernel, "BLOCK", 64)
    assert mmd2(x, y) == pytest.approx(expected, rel=1e-10)
    found = kernel_distance(x, y)
    assert found.mean == pytest.approx(1000 * expected, rel=1e-10)
    # Each subset is the whole: nothing varies, and a deviation of 0 would say otherwise.
    assert (found.std, found.size) == (None, 300)


@pytest.mark.parametrize("count", [130, 3000])
def test_mean_and_spread_over_subsets_agree_with_torch_fidelity(count, monkeypatch) -> None:
    # 3,000 images take the way subset by subset, 130 the way over all kernel values at once.
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 100)
    x, y = features(count, 0), features(count, 1, 0.05)
    pair = torch.from_numpy(x).double(), torch.from_numpy(y).double()
    theirs = kid_features_to_metric(*pair, kid_subsets=400, kid_subset_size=100, verbose=False)
    mean, std = (1000 * theirs[f"kernel_inception_distance_{part}"] for part in ("mean", "std"))
    ours = kernel_distance(x, y)
    assert ours.size == 100
    assert ours.mean == pytest.approx(mean, abs=4 * std / np.sqrt(100))
    assert ours.std == pytest.approx(std, rel=0.3)


def test_both_ways_of_summing_agree(monkeypatch) -> None:
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 50)
    x, y = features(120, 0), features(90, 1, 0.1)
    at_once = kernel_distance(x, y)
    monkeypatch.setattr(
        kernel,
        "_over_subsets",
        lambda x, y, chosen: np.array([mmd2(x[a], y[b]) for a, b in chosen]),
    )
    one_by_one = kernel_distance(x, y)
    assert at_once.mean == pytest.approx(one_by_one.mean, rel=1e-9)
    assert at_once.std == pytest.approx(one_by_one.std, rel=1e-9)


def test_equal_distributions_give_zero_on_average_and_others_more() -> None:
    same = kernel_distance(features(1500, 0), features(1500, 1))
    apart = kernel_distance(features(1500, 0), features(1500, 1, 0.3))
    assert same.std is not None and abs(same.mean) < 3 * same.std
    assert apart.mean > 20 * same.std


def test_the_number_is_reproducible_and_its_signature_says_the_size() -> None:
    x, y = features(1200, 0), features(1100, 1)
    first, state = kernel_distance(x, y), np.random.get_state()[1].copy()
    assert kernel_distance(x, y) == first
    assert (np.random.get_state()[1] == state).all()
    assert first.signature == "mmd2-unbiased|poly3|subsets=100x1000|pcg64=0|x1000|v1"
    few = kernel_distance(features(40, 0), features(60, 1))
    assert "subsets=100x40|" in few.signature and few.std is not None
    whole = kernel_distance(features(40, 0), features(40, 1))
    assert "subsets=1x40|" in whole.signature and whole.std is None


def test_too_few_images_and_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of 1 and 9 images .* at least 2 of each"):
        kernel_distance(features(1, 0), features(9, 0))
    with pytest.raises(ValueError, match="of one extractor"):
        mmd2(features(9, 0), features(9, 0, dims=8))
