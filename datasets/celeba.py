"""`celeba64`: the aligned faces of CelebA."""

from pathlib import Path

from datasets.arrangement import Arrangement, Cut, counted
from datasets.decode import Box, Framing
from datasets.layouts import Layout, first_size
from datasets.options import InvalidOptionError, require_integer
from datasets.partition import NAMES, find_partition, located
from datasets.source import Dataset, FileState, MissingFilesError, consecutive
from datasets.tree import InvalidFolderError, Tree
from datasets.tree_source import TreeSource

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
LICENCE = "non-commercial research only, by the agreement on mmlab.ie.cuhk.edu.hk (MMLAB, CUHK)"
SIZE = 178, 218  # width, height of img_align_celeba
CROPS = (148, 178, 160, 140, 138, 128)
LARSEN: Box = (15, 40, 163, 188)  # rows 40 to 188: five below the centre
SPLITS = ("official", "80/20")
LAYOUT = Layout(
    title="CelebA",
    needs="img_align_celeba (a folder or zip) and list_eval_partition.txt",
    page=PAGE,
    homes=("celeba64", "celeba", "CelebA", "celeba-dataset"),
    sign=r"\d{6}\.jpg",
    image=r"(?:.*/)?(\d{6})\.jpg",
    folders=(
        "img_align_celeba/img_align_celeba",
        "img_align_celeba",
        "Img/img_align_celeba",
    ),
    archives=(
        "img_align_celeba.zip",
        "Img/img_align_celeba.zip",
        "celeba-dataset.zip",
        "archive.zip",
    ),
)


class CelebA(Dataset):
    """The 202,599 aligned faces of CelebA (Liu et al., ICCV 2015), cropped and reduced.

    Options: `crop`: the side of the square that is cut out of 178 × 218 pixels, centred: 148 (the
    most common; AntixK's PyTorch-VAE), 178 (the full width), 160 (Barron 2019), 140, 138 (Hou et
    al.'s DFC-VAE) or 128 (Czolbe et al. 2020: their box (25, 45, 153, 173) is the centred one); or
    "larsen", columns 15 to 163 and rows 40 to 188 (Larsen et al. 2016, whose own reduction was
    cubic after a Gaussian; ours is the same for all crops). `size`, 8 to 178: the square is
    resized to size × size, bilinear and antialiased. `split`: "official", 162,770 / 19,867 / 19,962
    images in the order of the partition file; or "80/20", Bredell et al.'s: of a seeded
    permutation the last fifth is test, of the rest the last tenth validation. `seed` of that
    permutation.

    `root` is a folder, or its subfolder celeba64, celeba, CelebA or celeba-dataset, as torchvision
    lays it out (img_align_celeba/*.jpg and list_eval_partition.txt), as the official page does
    (Img/img_align_celeba.zip, packed or not, and Eval/list_eval_partition.txt) or as Kaggle
    (img_align_celeba/img_align_celeba/*.jpg and list_eval_partition.csv, or all in archive.zip);
    or it is such a zip file.

    Licence: non-commercial research only, no redistribution. Page:
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
    Errors: `InvalidOptionError`; on opening `MissingFilesError`, which names the file, and
    `InvalidFolderError` for files that are not CelebA's.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        crop: int | str = 148,
        split: str = "official",
        size: int = 64,
        seed: int = 0,
    ) -> None:
        if crop != "larsen" and (type(crop) is not int or crop not in CROPS):
            raise InvalidOptionError(
                f"crop={crop!r} is none of {', '.join(map(str, CROPS))} and larsen"
            )
        if split not in SPLITS:
            raise InvalidOptionError(f"split={split!r} is neither official nor 80/20")
        require_integer("size", size, 8, SIZE[0])
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.crop, self.split, self.size, self.seed = root, crop, split, size, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, self.size, self.size

    def open(self) -> TreeSource:
        """List the images and read the partition.

        Errors: see the class.
        """
        tree, members = LAYOUT.find(self.root)
        files = {f"{number}.jpg": name for name, (number,) in members.items()}
        _refuse_other_sizes(tree, list(members))
        splits, states = self._splits(tree, files)
        official = consecutive({name: len(found) for name, found in splits.items()})
        cuts = () if "test" in splits else (Cut(("test",), 0.2), Cut(("validation",), 0.1))
        crop = LARSEN if self.crop == "larsen" else int(self.crop)
        return TreeSource(
            tree,
            [name for found in splits.values() for name in found],
            Framing(channels=3, size=self.size, crop=crop, expected=SIZE),
            Arrangement(official, self.seed, cuts),
            description=f"CelebA aligned faces, crop {self.crop}, {self.size}x{self.size}, split "
            f"{self.split} ({counted(official)})",
            licence=LICENCE,
            beside=states,
        )

    def _splits(
        self, tree: Tree, files: dict[str, str]
    ) -> tuple[dict[str, list[str]], tuple[FileState, ...]]:
        if self.split == "80/20":
            LAYOUT.refuse_gaps([int(file[:6]) for file in sorted(files)], tree)
            return {"train": [files[file] for file in sorted(files)]}, ()
        places = LAYOUT.places(self.root)
        partition = find_partition([*places, *(place.parent for place in places)], tree)
        if partition is None:
            raise LAYOUT.missing(f"CelebA: no {NAMES[0]} (or .csv) in {self.root}")
        try:
            return located(partition.splits, files), partition.states
        except MissingFilesError as error:
            raise LAYOUT.missing(f"{error}, in {tree.path}") from error


def _refuse_other_sizes(tree: Tree, names: list[str]) -> None:
    found = first_size(tree, names)
    if found != SIZE:
        raise InvalidFolderError(
            f"the images of {tree.path} are {found[0]}x{found[1]}, not 178x218: "
            "give the aligned ones, img_align_celeba"
        )
