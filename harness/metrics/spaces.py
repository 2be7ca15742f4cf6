"""The feature spaces of the distances between sets of images, and the columns they fill."""

import functools

from harness.metrics.metric import FeatureSpace, Metric

SPACES: dict[str, FeatureSpace] = {
    space.name: space
    for space in (
        FeatureSpace("random", 64, "frd", "krd", "random features", 4),
        FeatureSpace("squeezenet", 512, "fsd", "ksd", "SqueezeNet features", 2),
        FeatureSpace(
            "squeezenet-caffe", 512, "fsd_caffe", "ksd_caffe", "features of the Caffe SqueezeNet", 0
        ),
        FeatureSpace("inception", 2048, "fid", "kid", "Inception features", 2),
    )
}

# The Inception network's other taps that pytorch-fid offers: other metrics than FID.
INCEPTION_DIMS = (768, 192, 64)


ENDS = (("recon", "rec.", "reconstructions"), ("gen", "gen.", "generated images"))


@functools.cache
def space_of(metric: str) -> str | None:
    """Return the feature space that fills a column; None for any other column."""
    for space in SPACES.values():
        if metric in {column.name for column in _columns(space)}:
            return space.name
    taps = {column.name for column in inception_taps()}
    return "inception" if metric in taps else None


def advice(space: str, channels: int) -> str | None:
    """Return what a reader of distances in `space` must know of grey images; None if nothing."""
    if space == "random" or channels != 1:
        return None
    label = SPACES[space].label
    return (
        f"{label[0].upper()}{label[1:]} were learned from colour photographs and mean little for "
        "grey or medical images: prefer the features 'random', which favour no domain."
    )


def distances() -> list[Metric]:
    """Return the columns of every feature space."""
    return [metric for space in SPACES.values() for metric in _columns(space)]


def _columns(space: FeatureSpace) -> list[Metric]:
    return [*_frechet(space), *_further(space), *_kernel(space)]


def _frechet(space: FeatureSpace) -> list[Metric]:
    label = _upper(space.frechet)
    return [
        Metric(
            f"{space.frechet}_{end}", f"{label} {short}", "", "minimize", "", space.decimals,
            f"Fréchet distance of {what}, {space.label}",
        )
        for end, short, what in ENDS
    ]  # fmt: skip


def _further(space: FeatureSpace) -> list[Metric]:
    name, label = f"{space.frechet}_gen", _upper(space.frechet)
    half = "end of the 95 % interval of the distance over halves of the samples"
    return [
        Metric(
            f"{name}_infinity", f"{label}∞ gen.", "", "minimize", "", space.decimals,
            f"Distance of generated images extrapolated to infinitely many, {space.label}",
            True, "distribution",
        ),
        Metric(
            f"{name}_low", f"{label} gen. low", "", "none", "", space.decimals,
            f"Lower {half}, {space.label}", True, "distribution",
        ),
        Metric(
            f"{name}_high", f"{label} gen. high", "", "none", "", space.decimals,
            f"Upper {half}, {space.label}", True, "distribution",
        ),
    ]  # fmt: skip


def _kernel(space: FeatureSpace) -> list[Metric]:
    return [
        Metric(
            f"{space.kernel}_{end}", f"{_upper(space.kernel)} {short}", "×10³", "minimize",
            "subsets", 3, f"Kernel distance of {what}, {space.label}", True, "distribution",
        )
        for end, short, what in ENDS
    ]  # fmt: skip


def inception_taps() -> list[Metric]:
    """Return the columns of the Inception network's other taps."""
    return [
        Metric(
            f"fid{dims}_{end}", f"FID({dims}) {short}", "", "minimize", "", 3,
            f"Fréchet distance of {what}, {dims} Inception features", True, "distribution",
        )
        for dims in INCEPTION_DIMS
        for end, short, what in ENDS
    ]  # fmt: skip


def _upper(prefix: str) -> str:
    """Return `FSD (Caffe)` for `fsd_caffe`."""
    name, _, variant = prefix.partition("_")
    return name.upper() + (f" ({variant.capitalize()})" if variant else "")
