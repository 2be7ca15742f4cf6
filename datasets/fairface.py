"""`fairface64`: the faces of FairFace."""

from pathlib import Path

from datasets.arrangement import Arrangement, Cut, counted
from datasets.decode import Framing
from datasets.layouts import Layout, refuse_small
from datasets.options import require_integer
from datasets.source import Dataset, consecutive
from datasets.tree_source import TreeSource

LAYOUT = Layout(
    title="FairFace",
    needs="the folders train and val of N.jpg (or a zip of both)",
    page="https://github.com/joojs/fairface",
    homes=("fairface64", "fairface", "FairFace", "fairface-img-margin025-trainval"),
    sign="train",
    image=r"(?:.*/)?(train|val)/(\d+)\.(?:jpg|jpeg|png)",
    archives=("fairface-img-margin025-trainval.zip", "fairface.zip"),
)


class FairFace(Dataset):
    """The faces of FairFace (Karkkainen and Joo, WACV 2021), reduced to size × size.

    Options: `size`, 8 to 224, not above that of the files (bilinear, antialiased, no crop);
    `seed` of the permutation of train.

    `root` is a folder, or its subfolder fairface64, fairface, FairFace or
    fairface-img-margin025-trainval, that holds train/N.jpg and val/N.jpg (or png) as the release of
    padding 0.25 does (86,744 and 10,954 faces of 224 × 224), or that release's zip.

    Splits: the official val is test, in the order of its numbers; the last tenth of a seeded
    permutation of train is validation. Copies of one image stay on one side of that cut.

    Licence: CC BY 4.0. Page: https://github.com/joojs/fairface
    Errors: `InvalidOptionError`; on opening `MissingFilesError` and `InvalidFolderError`.
    """

    def __init__(self, *, root: Path | None = None, size: int = 64, seed: int = 0) -> None:
        require_integer("size", size, 8, 224)
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.size, self.seed = root, size, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, self.size, self.size

    def open(self) -> TreeSource:
        """List the images.

        Errors: see the class.
        """
        tree, members = LAYOUT.find(self.root)
        ordered = sorted(members, key=lambda name: int(members[name][1]))
        splits = {
            split: [name for name in ordered if members[name][0] == folder]
            for split, folder in (("train", "train"), ("test", "val"))
        }
        for split, names in splits.items():
            if not names:
                folder = "train" if split == "train" else "val"
                raise LAYOUT.missing(f"FairFace: no folder {folder} of N.jpg in {tree.path}")
        refuse_small(tree, splits["train"], self.size)
        official = consecutive({name: len(found) for name, found in splits.items()})
        return TreeSource(
            tree,
            [name for found in splits.values() for name in found],
            Framing(channels=3, size=self.size),
            Arrangement(official, self.seed, (Cut(("validation",)),)),
            description=f"FairFace, {self.size}x{self.size} ({counted(official)})",
            licence="CC BY 4.0, Karkkainen and Joo, FairFace (WACV 2021)",
        )
