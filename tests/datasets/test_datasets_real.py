"""Real photographs, where HARNESS_DATA names a folder that holds them."""

from pathlib import Path

import numpy as np
import pytest

from harness import components, prepared
from harness.settings import settings

DATA = settings().data or Path("no-data")


@pytest.mark.skipif(not (DATA / "kodak").is_dir(), reason="HARNESS_DATA has no kodak folder")
def test_a_relative_folder_is_found_in_harness_data() -> None:
    splits = prepared.read(components.resolve("dataset", "folder:kodak[size=64]"))
    assert splits.image_shape == (3, 64, 64)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [20, 2, 2]
    # Photographs, not flat fields: every one has contrast.
    assert np.stack([image.std() for image in splits.train]).min() > 10


@pytest.mark.skipif(not (DATA / "fairface64").is_dir(), reason="HARNESS_DATA has no fairface64")
@pytest.mark.slow
def test_ten_thousand_faces_keep_their_official_split() -> None:
    splits = prepared.read(components.resolve("dataset", "folder:fairface64"))
    assert splits.image_shape == (3, 64, 64)
    assert len(splits.train) + len(splits.test) == 8192
    assert len(splits.validation) == 2048
