"""Features of real images, kept beside the dataset for every cell and process."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import feature_cache
from harness.feature_cache import real_features
from harness.metrics.features import RandomFeatures, make

KEY = "data=abc|split=test|limit=None"


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (600, 3, 8, 8), dtype=np.uint8)


class Counting(RandomFeatures):
    """Counts the batches that it is asked for."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        Counting.calls += 1
        return super().forward(images)


class Tapped(RandomFeatures):
    """An extractor with another layer, as Inception has."""

    def taps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        found = self(images)
        return {4: found[:, :4].contiguous(), 64: found}


@pytest.fixture
def counting() -> Counting:
    Counting.calls = 0
    return Counting(3)


def stored(folder: Path) -> Path:
    [place] = folder.glob("_features-*[0-9a-f]")
    return place


def test_features_and_moments_are_those_of_the_images(images, tmp_path) -> None:
    found = real_features(images, make("random", 3), tmp_path, KEY, split="test")
    expected = make("random", 3)(torch.from_numpy(images).float() / 255).numpy()
    np.testing.assert_allclose(found.features, expected, rtol=1e-5, atol=1e-5)
    assert (found.features.dtype, found.features.shape) == (np.float32, (600, 64))
    np.testing.assert_allclose(found.moments.mean(), found.features.mean(0, dtype=np.float64))
    exact = np.cov(found.features.T.astype(np.float64))
    np.testing.assert_allclose(found.moments.covariance(), exact, rtol=1e-9, atol=1e-12)
    assert "_features-test-random-600-" in stored(tmp_path).name


def test_the_second_time_nothing_is_computed(images, counting, tmp_path) -> None:
    first = real_features(images, counting, tmp_path, KEY)
    calls = counting.calls
    second = real_features(images, counting, tmp_path, KEY)
    assert counting.calls == calls > 0
    assert isinstance(second.features, np.memmap) and not second.features.flags.writeable
    assert (second.features == first.features).all()
    assert (second.moments.covariance() == first.moments.covariance()).all()


def test_without_a_folder_nothing_is_kept(images, counting, tmp_path) -> None:
    kept = real_features(images, counting, tmp_path, KEY)
    alone = real_features(images, counting, None, KEY)
    assert (alone.features == kept.features).all()
    assert (alone.moments.mean() == kept.moments.mean()).all()


def test_other_images_or_extractors_have_files_of_their_own(images, tmp_path) -> None:
    other = make("random", 3)
    other.signature += "|another"
    a = real_features(images, make("random", 3), tmp_path, KEY)
    b = real_features(255 - images, make("random", 3), tmp_path, "data=def")
    real_features(images, other, tmp_path, KEY)
    real_features(images[:300], make("random", 3), tmp_path, KEY)
    assert len(list(tmp_path.glob("_features-*/facts.json"))) == 4
    assert not (a.features == b.features).all()


def test_taps_are_kept_too(images, tmp_path) -> None:
    for _ in range(2):
        found = real_features(images, Tapped(3), tmp_path, KEY)
        assert list(found.taps) == [4] and found.features.shape == (600, 64)
        assert (found.taps[4].features == found.features[:, :4]).all()
        assert found.taps[4].moments.dims == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "facts", "empty"])
def test_a_damaged_file_is_computed_anew(damage, images, counting, tmp_path, caplog) -> None:
    whole = np.array(real_features(images, counting, tmp_path, KEY).features)
    calls, place = counting.calls, stored(tmp_path)
    path = place / "features-64.npy"
    if damage == "truncated":
        os.truncate(path, 1000)
    elif damage == "flipped":
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    elif damage == "missing":
        (place / "scatter-64.npy").unlink()
    elif damage == "facts":
        (place / "facts.json").write_text("[1, 2]")
    else:
        (place / "facts.json").write_text(json.dumps({"sha256": {}}))
    found = real_features(images, counting, tmp_path, KEY)
    assert counting.calls > calls
    assert (found.features == whole).all()
    assert "damaged" in caplog.text
    calls = counting.calls
    real_features(images, counting, tmp_path, KEY)
    assert counting.calls == calls


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_cache(
    images, counting, tmp_path, caplog
) -> None:
    (tmp_path / "file").write_text("in the way")
    found = real_features(images, counting, tmp_path / "file" / "set", KEY)
    assert found.features.shape == (600, 64)
    assert "not kept" in caplog.text


def test_a_write_that_breaks_off_leaves_nothing(images, counting, tmp_path, monkeypatch) -> None:
    def broken(path: Path) -> str:
        raise OSError("the disk is full")

    monkeypatch.setattr(feature_cache, "_digest", broken)
    assert real_features(images, counting, tmp_path, KEY).features.shape == (600, 64)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def _in_a_process(folder: str) -> float:
    images = np.random.default_rng(0).integers(0, 256, (600, 3, 8, 8), dtype=np.uint8)
    return float(real_features(images, make("random", 3), Path(folder), KEY).features.sum())


@pytest.mark.slow
def test_several_processes_may_ask_at_once(tmp_path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        sums = list(pool.map(_in_a_process, [str(tmp_path)] * 2))
    assert len(set(sums)) == 1
    assert len(list(tmp_path.glob("_features-*/facts.json"))) == 1
    assert not list(tmp_path.glob("_tmp-*"))
