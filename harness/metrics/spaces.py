"""The feature spaces of the distances between sets of images, and the columns they fill."""

from harness.metrics.metric import FeatureSpace, Metric

SPACES: dict[str, FeatureSpace] = {
    space.name: space
    for space in (
        FeatureSpace("random", 64, "frd", "krd", "random features", 4),
        FeatureSpace("squeezenet", 512, "fsd", "ksd", "SqueezeNet features", 2),
        FeatureSpace(
            "squeezenet-caffe", 512, "fsd_caffe", "ksd_caffe", "features of the Caffe SqueezeNet", 2
        ),
        FeatureSpace("inception", 2048, "fid", "kid", "Inception features", 2),
    )
}

# The Inception network's other taps that pytorch-fid offers: other metrics than FID.
INCEPTION_DIMS = (768, 192, 64)


ENDS = (("recon", "rec.", "reconstructions"), ("gen", "gen.", "generated images"))


def space_of(metric: str) -> str | None:
    """Return the feature space that fills a column; None for any other column."""
    for space in SPACES.values():
        if metric in {column.name for column in _columns(space)}:
            return space.name
    taps = {column.name for column in inception_taps()}
    return "inception" if metric in taps else None


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
            True, False,
        ),
        Metric(
            f"{name}_low", f"{label} gen. low", "", "none", "", space.decimals,
            f"Lower {half}, {space.label}", True, False,
        ),
        Metric(
            f"{name}_high", f"{label} gen. high", "", "none", "", space.decimals,
            f"Upper {half}, {space.label}", True, False,
        ),
    ]  # fmt: skip


def _kernel(space: FeatureSpace) -> list[Metric]:
    return [
        Metric(
            f"{space.kernel}_{end}", f"{_upper(space.kernel)} {short}", "×10³", "minimize",
            "subsets", 3, f"Kernel distance of {what}, {space.label}", True, False,
        )
        for end, short, what in ENDS
    ]  # fmt: skip


def inception_taps() -> list[Metric]:
    """Return the columns of the Inception network's other taps."""
    return [
        Metric(
            f"fid{dims}_{end}", f"FID({dims}) {short}", "", "minimize", "", 3,
            f"Fréchet distance of {what}, {dims} Inception features", True, False,
        )
        for dims in INCEPTION_DIMS
        for end, short, what in ENDS
    ]  # fmt: skip


def _upper(prefix: str) -> str:
    """Return `FSD (Caffe)` for `fsd_caffe`."""
    name, _, variant = prefix.partition("_")
    return name.upper() + (f" ({variant.capitalize()})" if variant else "")
