"""Digits: equal to scikit-learn's, scaled, enlarged and split as stated."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from datasets import digits
from datasets.digits import Digits, read_scans
from datasets.options import InvalidOptionError
from datasets.wheels import MissingShippedFileError


def test_scans_are_those_of_scikit_learn() -> None:
    expected = np.floor(load_digits().images * 255 / 16 + 0.5)
    scans = read_scans()
    assert scans.dtype == np.uint8 and (scans.min(), scans.max()) == (0, 255)
    assert np.array_equal(scans, expected)


def test_splits_partition_the_scans() -> None:
    images = Digits(size=8).load()
    sizes = [len(split) for split in (images.train, images.validation, images.test)]
    assert sizes == [1078, 359, 360]
    together = np.concatenate([images.train, images.validation, images.test])
    expected = sorted(scan.tobytes() for scan in read_scans())
    assert sorted(image.tobytes() for image in together) == expected
    assert images.data_hash == "b2336d2be644de9421ffac38111bd7af70f487c91cf740cc589ece74f453bc60"


def test_default_is_enlarged_bilinearly() -> None:
    small, large = Digits(size=8).load(), Digits().load()
    assert large.train.shape == (1078, *Digits().image_shape()) == (1078, 1, 32, 32)
    for scan, image in zip(small.test[:20, 0], large.test[:20, 0], strict=True):
        # half-pixel centres, clamped at the border, written with numpy alone
        at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
        rows = np.stack([np.interp(at, range(8), row) for row in scan])
        both = np.stack([np.interp(at, range(8), column) for column in rows.T], axis=1)
        assert np.abs(both - image).max() <= 1.0
    assert (
        large.data_hash
        == Digits().load().data_hash
        == "f1f7e3bf01b72356e1213dd70a8f8788841c8e2c98bb99ced44a7482f7de574a"
    )


def test_the_seed_moves_the_split() -> None:
    assert Digits(size=8, seed=1).load().data_hash != Digits(size=8).load().data_hash


@pytest.mark.parametrize("options", [{"size": 7}, {"size": 257}, {"size": "32"}, {"seed": -1}])
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(InvalidOptionError):
        Digits(**options)


def test_a_file_of_another_shape_is_refused(monkeypatch, tmp_path) -> None:
    other = tmp_path / "digits.csv"
    other.write_text("1,2\n3,4\n")
    monkeypatch.setattr(digits, "shipped_file", lambda *_: other)
    with pytest.raises(MissingShippedFileError, match=r"table of \(2, 2\)"):
        read_scans()
