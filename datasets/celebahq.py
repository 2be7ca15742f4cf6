"""`celebahq256`: the faces of CelebA-HQ."""

from pathlib import Path

from datasets.arrangement import Arrangement, Cut, counted
from datasets.celeba import LAYOUT as CELEBA
from datasets.celeba import LICENCE, SPLITS
from datasets.decode import Framing
from datasets.layouts import Layout, refuse_small
from datasets.options import InvalidOptionError, require_integer
from datasets.partition import NAMES, find_partition
from datasets.source import Dataset, FileState, consecutive
from datasets.tree import InvalidFolderError, Tree, state
from datasets.tree_source import TreeSource

MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
LAYOUT = Layout(
    title="CelebA-HQ",
    needs="CelebA-HQ-img or data256x256 (a folder or zip of N.jpg or N.png)",
    page="https://github.com/tkarras/progressive_growing_of_gans (or, as files, "
    "https://github.com/switchablenorms/CelebAMask-HQ)",
    homes=("celebahq256", "celebahq", "celeba-hq", "CelebA-HQ", "CelebAMask-HQ"),
    sign=r"\d{1,6}\.(?:jpg|jpeg|png)",
    image=r"(?:(?:.*/)?(?:CelebA-HQ-img|data256x256|celeba_hq_256)/)?0*(\d+)\.(?:jpg|jpeg|png)",
    folders=("CelebAMask-HQ/CelebA-HQ-img", "CelebA-HQ-img", "data256x256", "celeba_hq_256"),
    archives=("CelebAMask-HQ.zip", "celebahq-resized-256x256.zip", "archive.zip"),
)


class CelebAHQ(Dataset):
    """The 30,000 faces of CelebA-HQ (Karras et al., ICLR 2018), reduced to size × size.

    Options: `size`, 8 to 1024, not above that of the files (bilinear, antialiased). `split`:
    CelebA-HQ has no split of its own. "80/20", Bredell et al.'s: of a seeded permutation the last
    fifth is test, of the rest the last tenth validation. "official": every face goes where
    CelebA's partition puts the photograph it was made from (24,183 / 2,993 / 2,824), in the files'
    order, which takes CelebA-HQ-to-CelebA-mapping.txt (part of CelebAMask-HQ) and CelebA's
    list_eval_partition.txt, both beside the images or CelebA in a folder of its own in `root`.
    `seed` of the permutation.

    `root` is a folder, or its subfolder celebahq256, celebahq, celeba-hq, CelebA-HQ or
    CelebAMask-HQ, that holds N.jpg or N.png numbered from 0 or 1 without gaps, or them in
    CelebA-HQ-img (CelebAMask-HQ), data256x256 or celeba_hq_256 (Kaggle), or CelebAMask-HQ.zip; or
    it is such a zip file.

    Licence: CC BY-NC 4.0 and CelebA's, non-commercial research only. Page:
    https://github.com/tkarras/progressive_growing_of_gans; as files,
    https://github.com/switchablenorms/CelebAMask-HQ
    Errors: `InvalidOptionError`; on opening `MissingFilesError`, which names the file, and
    `InvalidFolderError` for images smaller than `size`, or numbered from 1 with split=official,
    because the mapping counts from 0.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        split: str = "80/20",
        size: int = 256,
        seed: int = 0,
    ) -> None:
        if split not in SPLITS:
            raise InvalidOptionError(f"split={split!r} is neither 80/20 nor official")
        require_integer("size", size, 8, 1024)
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.split, self.size, self.seed = root, split, size, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, self.size, self.size

    def open(self) -> TreeSource:
        """List the images, and read mapping and partition where they make the split.

        Errors: see the class.
        """
        tree, members = LAYOUT.find(self.root)
        names = sorted(members, key=lambda name: int(members[name][0]))
        numbers = [int(members[name][0]) for name in names]
        LAYOUT.refuse_gaps(numbers, tree)
        refuse_small(tree, names, self.size)
        splits, states = self._splits(tree, dict(zip(numbers, names, strict=True)))
        official = consecutive({name: len(found) for name, found in splits.items()})
        cuts = () if "test" in splits else (Cut(("test",), 0.2), Cut(("validation",), 0.1))
        return TreeSource(
            tree,
            [name for found in splits.values() for name in found],
            Framing(channels=3, size=self.size),
            Arrangement(official, self.seed, cuts),
            description=f"CelebA-HQ faces, {self.size}x{self.size}, split {self.split} "
            f"({counted(official)})",
            licence=f"CC BY-NC 4.0, Karras et al. (ICLR 2018); CelebA's: {LICENCE}",
            beside=states,
        )

    def _splits(
        self, tree: Tree, names: dict[int, str]
    ) -> tuple[dict[str, list[str]], tuple[FileState, ...]]:
        if self.split == "80/20":
            return {"train": list(names.values())}, ()
        if 0 not in names:
            raise InvalidFolderError(
                f"the images of {tree.path} are numbered from {min(names)} but the mapping to "
                "CelebA counts from 0: choose split=80/20 or the files of CelebAMask-HQ"
            )
        places = [*LAYOUT.places(self.root), tree.path.parent]
        partition = find_partition([*places, *CELEBA.places(self.root)], None)
        if partition is None:
            raise CELEBA.missing(f"CelebA-HQ with split=official: no {NAMES[0]} in {self.root}")
        mapping, states = _mapping(places, tree)
        split_of = {file: split for split, files in partition.splits.items() for file in files}
        splits: dict[str, list[str]] = {split: [] for split in partition.splits}
        for number, name in names.items():
            if split_of.get(mapping.get(number, "")) is None:
                raise InvalidFolderError(
                    f"{MAPPING} and {NAMES[0]} say nothing about {name}: get both files again"
                )
            splits[split_of[mapping[number]]].append(name)
        return splits, (*partition.states, *states)


def _mapping(places: list[Path], tree: Tree) -> tuple[dict[int, str], tuple[FileState, ...]]:
    """Return number in CelebA-HQ -> file in CelebA."""
    found = next((place / MAPPING for place in places if (place / MAPPING).is_file()), None)
    inside = next((name for name in tree.names if name.split("/")[-1] == MAPPING), None)
    if found is not None:
        return _rows(found.read_bytes()), (state(found, MAPPING),)
    if inside is None:
        raise LAYOUT.missing(f"CelebA-HQ with split=official: no {MAPPING} in {places[-1]}")
    return _rows(tree.read(inside)), tree.states([inside])


def _rows(content: bytes) -> dict[int, str]:
    """Read the lines idx, orig_idx, orig_file that follow the heading."""
    rows = [line.split() for line in content.decode(errors="replace").splitlines()[1:]]
    return {int(row[0]): row[2] for row in rows if len(row) == 3 and row[0].isdigit()}
