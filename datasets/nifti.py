"""`nifti`: patches of slices of the user's own magnetic resonance volumes."""

import re
from pathlib import Path

from datasets.locating import file_state
from datasets.options import InvalidOptionError, require_integer
from datasets.source import Dataset, MissingFilesError
from datasets.subfolders import official_splits
from datasets.subjects import split_subjects, subjects
from datasets.tree import FolderTree
from datasets.volume_source import Sampling, VolumeSource
from datasets.volumes import SUFFIXES, require_nibabel

_SHARES = {"test": 0.1, "validation": 0.1}


class Nifti(Dataset):
    """Random patches, 1 × patch × patch, of the slices of NIfTI volumes below a folder.

    Read are the files .nii and .nii.gz; where some are named T1w (BIDS) those alone. Axes are
    turned towards RAS, nothing is resampled; grey values are scaled as `read_volume` says.

    Options: `path`; `patch` 8 to 512 pixels; `slices` axial, coronal or sagittal; `coverage`, the
    least share of a patch's pixels that are brighter than 5 per cent of white; numbers of `train`,
    `validation` and `test` patches, spread equally over the volumes of a split; `subject`,
    a regular expression whose first group finds the subject in a file's relative name (left out:
    BIDS' sub-LABEL, else the first folder, else the file's name); `seed`.

    Splits: subfolders train, val (or valid, validation) and test are the splits. A missing one is
    cut from train by subject: the last tenth of a seeded permutation of the subjects is test, the
    last tenth of those left validation.

    Errors, all `ValueError`: `InvalidOptionError`; at `open` `MissingNibabelError`,
    `MissingFilesError`, `InvalidFolderError`, `TooFewImagesError`; a volume that cannot be used
    (`InvalidVolumeError`) is skipped where such are at most 1 per cent.
    """

    def __init__(
        self,
        path: str,
        *,
        patch: int = 64,
        slices: str = "axial",
        coverage: float = 0.5,
        train: int = 4096,
        validation: int = 512,
        test: int = 512,
        subject: str | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(path, str) or not path:
            raise InvalidOptionError(f"path={path!r} names no folder: give a folder of volumes")
        self.root, self.subject = Path(path).expanduser(), _checked(subject)
        self.counts = patch_counts(train, validation, test)
        self.sampling = Sampling(patch, slices, coverage, seed)

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 1, self.sampling.patch, self.sampling.patch

    def open(self) -> VolumeSource:
        """List the volumes and split them; none is read.

        Errors: see the class.
        """
        require_nibabel()
        official = official_splits(self._names())
        names = [name for members in official.values() for name in members]
        owner = subjects(names, self.subject)
        splits = split_subjects(official, owner, _SHARES, self.sampling.seed)
        source = VolumeSource(self.root, splits, owner, self.counts, self.sampling)
        described = ", ".join(f"{split} {len(members)}" for split, members in splits.items())
        source.description = (
            f"{self.sampling.patch}x{self.sampling.patch} patches of {self.sampling.plane} slices "
            f"of the volumes of {self.root.resolve().name} ({described})"
        )
        source.licence = "not stated: the user's own volumes"
        source.files = tuple(file_state(self.root, self.root / name) for name in names)
        return source

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            raise MissingFilesError(f"no folder {self.root}: give the path of a folder of volumes")
        names = [name for name in FolderTree(self.root).names if name.lower().endswith(SUFFIXES)]
        if not names:
            raise MissingFilesError(f"no .nii or .nii.gz file below {self.root}: put volumes there")
        return [name for name in names if "T1w" in name.rsplit("/", 1)[-1]] or names


def patch_counts(train: int, validation: int, test: int) -> dict[str, int]:
    """Return split -> number of patches; raises `InvalidOptionError` outside 1 to a million."""
    counts = {"train": train, "validation": validation, "test": test}
    for name, count in counts.items():
        require_integer(name, count, 1, 1_000_000)
    return counts


def _checked(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except (re.error, TypeError) as error:
        raise InvalidOptionError(
            f"subject={pattern!r} is no regular expression ({error}): correct or omit it"
        ) from error
    return pattern
