"""Hcp: the folders of the Human Connectome Project, split by subject."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from datasets.hcp import Hcp
from datasets.options import InvalidOptionError
from datasets.source import MissingFilesError
from datasets.splitting import TooFewImagesError

BRAIN = "{0}/T1w/T1w_acpc_dc_restore_brain.nii.gz"
UNPROCESSED = "{0}/unprocessed/3T/T1w_MPR1/{0}_3T_T1w_MPR1.nii.gz"
SMALL = {"train": 60, "validation": 12, "test": 12}


def release(folder: Path, people: int, layout: str = BRAIN) -> None:
    """Write float volumes of people whose value says who they are."""
    for number in range(people):
        path = folder / layout.format(100307 + 101 * number)
        path.parent.mkdir(parents=True)
        voxels = np.full((70, 80, 4), 100 + number, np.uint8)
        voxels[:2] = 0
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)


def people(pixels: np.ndarray) -> set[int]:
    return {int(patch.max()) - 100 for patch in pixels}


def test_a_fifth_of_the_subjects_is_test_and_none_is_in_two_splits(tmp_path) -> None:
    release(tmp_path, 20)
    (tmp_path / "readme").mkdir()
    (tmp_path / "12345").mkdir()
    images = Hcp(root=tmp_path, **SMALL).load()
    sides = [people(split) for split in (images.train, images.validation, images.test)]
    assert [len(side) for side in sides] == [15, 1, 4] and len(set.union(*sides)) == 20
    assert Hcp().image_shape() == images.train.shape[1:] == (1, 64, 64)
    again = Hcp(root=tmp_path, seed=1, **SMALL).load()
    assert people(again.test) != sides[2]


@pytest.mark.parametrize("folder", [".", "hcp", "HCP_1200"])
def test_the_folders_are_found_below_the_root(tmp_path, folder) -> None:
    release(tmp_path / folder, 4)
    source = Hcp(root=tmp_path, **SMALL).open()
    assert "train 2, validation 1, test 1" in source.description
    assert source.files[0].path == "100307/T1w/T1w_acpc_dc_restore_brain.nii.gz"


def test_no_more_subjects_than_asked_for_are_used(tmp_path) -> None:
    release(tmp_path, 12)
    chosen = [Hcp(root=tmp_path, subjects=5, seed=seed, **SMALL).open() for seed in (0, 0, 1)]
    names = [{file.path for file in source.files} for source in chosen]
    assert len(names[0]) == 5 and names[0] == names[1] != names[2]


def test_another_kind_of_volume_is_never_taken_silently(tmp_path) -> None:
    release(tmp_path, 4, UNPROCESSED)
    message = r"SUBJECT/T1w/T1w_acpc_dc_restore_brain\.nii\.gz.*humanconnectome\.org, or use volume"
    with pytest.raises(MissingFilesError, match=message + "=unprocessed"):
        Hcp(root=tmp_path).open()
    assert len(Hcp(root=tmp_path, volume="unprocessed", **SMALL).load().train) == 60


def test_what_is_not_there_is_named_with_the_official_page(tmp_path) -> None:
    for root in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFilesError, match=r"hcp64 needs SUBJECT/T1w/.*db\.humanconn"):
            Hcp(root=root).open()
    release(tmp_path, 2)
    with pytest.raises(TooFewImagesError, match="too few subjects, 2"):
        Hcp(root=tmp_path).open()


@pytest.mark.parametrize(
    "options",
    [{"volume": "T2w"}, {"subjects": 2}, {"slices": "x"}, {"train": 0}, {"coverage": -1}],
)
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(InvalidOptionError):
        Hcp(**options)
