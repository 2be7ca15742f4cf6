"""`hcp64`: patches of the brains of the Human Connectome Project."""

import re
from pathlib import Path

from datasets.locating import file_state, missing
from datasets.nifti import patch_counts
from datasets.options import InvalidOptionError, require_integer
from datasets.seeding import permutation
from datasets.source import Dataset, MissingFilesError
from datasets.subjects import split_subjects
from datasets.volume_source import Sampling, VolumeSource
from datasets.volumes import require_nibabel

PAGE = "https://db.humanconnectome.org"
FOLDERS = (".", "hcp", "HCP", "hcp64", "HCP_1200", "HCP1200")
VOLUMES = {
    "brain": "T1w/T1w_acpc_dc_restore_brain.nii.gz",
    "head": "T1w/T1w_acpc_dc_restore.nii.gz",
    "unprocessed": "unprocessed/3T/T1w_MPR1/{subject}_3T_T1w_MPR1.nii.gz",
}
_SUBJECT = re.compile(r"\d{6}")
_SHARES = {"test": 0.2, "validation": 0.1}
_PATCH = 64


class Hcp(Dataset):
    """Random 64 × 64 patches of slices of T1-weighted volumes of the Human Connectome Project.

    Source: Van Essen et al. (2013), https://db.humanconnectome.org, open access after registration.
    Looked for in `root`, root/hcp, root/HCP_1200 and the like: folders named by six digits, as
    released. After Bredell et al., section 4.1, 400 of the subjects are used, 80 per cent of
    them for training. The paper names neither slices nor crops more closely, and prepares the
    volumes as Volokitin et al. (2020) do; here they are the release's own.

    Options: `volume`: brain ({subject}/T1w/T1w_acpc_dc_restore_brain.nii.gz: skull stripped, bias
    corrected), head (T1w_acpc_dc_restore.nii.gz) or unprocessed (unprocessed/3T/T1w_MPR1/); one
    kind for all, since they do not look alike; `subjects`, at most so many, the first of
    a seeded permutation; `slices`, `coverage`, `train`, `validation`, `test` and `seed` as for
    `nifti`.

    Splits, by subject: the last fifth of a seeded permutation of them is test, the last tenth of
    those left validation.

    Errors: as for `nifti`.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        volume: str = "brain",
        subjects: int = 400,
        slices: str = "axial",
        coverage: float = 0.5,
        train: int = 16_384,
        validation: int = 2048,
        test: int = 4096,
        seed: int = 0,
    ) -> None:
        if volume not in VOLUMES:
            raise InvalidOptionError(f"volume={volume!r} is none of {', '.join(VOLUMES)}")
        require_integer("subjects", subjects, 3, 100_000)
        self.root, self.volume, self.subjects = root, volume, subjects
        self.counts = patch_counts(train, validation, test)
        self.sampling = Sampling(_PATCH, slices, coverage, seed)

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 1, _PATCH, _PATCH

    def open(self) -> VolumeSource:
        """List the volumes and split them; none is read.

        Errors: see the class.
        """
        require_nibabel()
        folder, owner = self._find()
        splits = split_subjects({"train": list(owner)}, owner, _SHARES, self.sampling.seed)
        source = VolumeSource(folder, splits, owner, self.counts, self.sampling)
        described = ", ".join(f"{split} {len(members)}" for split, members in splits.items())
        source.description = (
            f"64x64 patches of {self.sampling.plane} slices of HCP T1w volumes, {self.volume} "
            f"({described})"
        )
        source.licence = "HCP Open Access Data Use Terms, db.humanconnectome.org"
        source.files = tuple(file_state(folder, folder / name) for name in owner)
        return source

    def _find(self) -> tuple[Path, dict[str, str]]:
        for name in FOLDERS if self.root is not None else ():
            folder = Path(self.root or "", name)
            found = _volumes(folder, self.volume)
            if found:
                order = permutation(len(found), self.sampling.seed, "hcp")[: self.subjects]
                chosen = sorted(order.tolist())
                names = list(found)
                return folder, {names[i]: found[names[i]] for i in chosen}
        raise self._missing()

    def _missing(self) -> MissingFilesError:
        wanted = "SUBJECT/" + VOLUMES[self.volume].format(subject="SUBJECT")
        error = missing("hcp64", self.root, wanted, FOLDERS, PAGE)
        for name in FOLDERS if self.root is not None else ():
            for other in VOLUMES:
                if _volumes(Path(self.root or "", name), other):
                    return MissingFilesError(f"{error}, or use volume={other}, which is there")
        return error


def _volumes(folder: Path, kind: str) -> dict[str, str]:
    """Return relative name -> subject of the volumes of one kind, sorted."""
    if not folder.is_dir():
        return {}
    people = sorted(path.name for path in folder.iterdir() if _SUBJECT.fullmatch(path.name))
    names = {f"{person}/{VOLUMES[kind].format(subject=person)}": person for person in people}
    return {name: person for name, person in names.items() if (folder / name).is_file()}
