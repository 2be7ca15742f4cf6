"""Asks which reading of FID gives the values in the tables of Bredell et al., 0.02 to 0.21.

    python -m benchmarks.calibrate_fid --images FOLDER --weights FILE [--features inception]
        [--reconstructions PATH ...] [--count 5000] [--side 64]

Real images (CelebA's, for the paper's own case: at least 2049, better 10,000) are blurred until
their mean PSNR is that of the paper's reconstructions, and every candidate reading of the Fréchet
distance between them and the images themselves is printed: 2048, 768, 192 and 64 Inception
features, as they are and divided by 1000. A reading that lands in the paper's range at every PSNR
is a candidate. `--reconstructions` takes what models made of the same images: a folder of images,
an npz or npy file of uint8 (N, C, H, W) (in an npz the array `recon`), or a model stored by the
harness (results/GRID/_models/NAME.safetensors), which then reconstructs the images here.

`--weights` is pt_inception-2015-12-05-6726825d.pth of pytorch-fid. Without it the machinery runs on
other features, `--features squeezenet-caffe` with that file or `--features random` with none: their
values say nothing about the paper's.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from harness.metrics import SPACES
from harness.metrics.features import Features, make
from harness.metrics.frechet import DistanceTo, Moments
from harness.metrics.pixel import psnr

# Mean PSNR of reconstructions of CelebA 64x64 in Table 2, and FID_recon beside it: L2 and the
# paper's own loss; the last one is above all of its tables.
PAPER = {22.51: 0.0571, 23.21: 0.0364, 25.0: None}
RANGE = (0.02, 0.21)
SCALES = {"": 1.0, " / 1000": 1000.0}

BATCH = 64
STEPS = 12
WIDEST = 8.0  # pixels
PROBED = 128  # images that decide on the width of the blur


def main() -> None:
    """Print every reading of blurred images and of reconstructions."""
    options = arguments()
    images = read_images(options.images, options.count, options.side)
    extractor = make(options.features, images.shape[1], {options.features: options.weights or ""})
    found = {}
    real = {dims: DistanceTo(moments) for dims, moments in moments_of(extractor, images).items()}
    for target in PAPER:
        blurred = blur(images, width := width_for(images, target))
        name = f"blur of {width:.2f} px, {mean_psnr(blurred, images):.2f} dB"
        found[name] = readings(real, moments_of(extractor, blurred))
    for path in options.reconstructions:
        recon = reconstructions(path, images, options.side)
        found[f"{path.name}, {described(recon, images)}"] = readings(
            real, moments_of(extractor, recon)
        )
    print(f"{len(images)} images of {options.images}; {extractor.signature}\n")
    print(table(found, len(images)))
    if options.features != "inception":
        print(f"\n{SPACES[options.features].label}: a trial of the machinery, not the paper's FID.")


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of real images")
    parser.add_argument("--reconstructions", type=Path, nargs="*", default=[])
    parser.add_argument("--features", choices=list(SPACES), default="inception")
    parser.add_argument("--weights", type=Path, help="the extractor's weights file")
    parser.add_argument("--count", type=int, default=5000, help="images to take")
    parser.add_argument("--side", type=int, default=64, help="pixels a side after a centre crop")
    return parser.parse_args()


def read_images(folder: Path, count: int, side: int) -> Tensor:
    """Return the first images of a folder by name, cropped to a square, (N, 3, H, W) in [0, 1]."""
    endings = {".png", ".jpg", ".jpeg", ".webp"}
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)[:count]
    if not files:
        raise SystemExit(f"{folder} holds no images: give a folder of PNG, JPEG or WebP files")
    pixels = np.stack([square(file, side) for file in files]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255


def square(file: Path, side: int) -> np.ndarray:
    """Return the largest centred square of an image, resized where it is not `side` wide."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    image = image.crop((left, top, left + edge, top + edge))
    return np.asarray(
        image.resize((side, side), Image.Resampling.BILINEAR) if edge != side else image
    )


def blur(images: Tensor, width: float) -> Tensor:
    """Return the images under a Gaussian of `width` pixels, reflected at the edges."""
    reach = min(int(np.ceil(3 * width)), images.shape[-1] - 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    planes = F.pad(images.flatten(0, 1)[:, None], (reach,) * 4, mode="reflect")
    across = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    return F.conv2d(across, kernel.view(1, 1, -1, 1)).view_as(images)


def width_for(images: Tensor, target: float) -> float:
    """Return the width of the blur that leaves a mean PSNR of `target` dB, by bisection."""
    some, narrow, wide = images[:: max(1, len(images) // PROBED)], 0.05, WIDEST
    for _ in range(STEPS):
        middle = (narrow + wide) / 2
        if mean_psnr(blur(some, middle), some) > target:
            narrow = middle
        else:
            wide = middle
    return wide


def mean_psnr(recon: Tensor, images: Tensor) -> float:
    """Return the mean over images of PSNR after rounding to 8 bits, in dB."""
    return float(psnr(recon, images).mean())


def reconstructions(path: Path, images: Tensor, side: int) -> Tensor:
    """Return what `path` holds or, where it is a model, makes of the images, in [0, 1]."""
    if path.is_dir():
        return read_images(path, len(images), side)
    if path.suffix == ".safetensors":
        return reconstructed(path, images)
    stored = np.load(path, allow_pickle=False)
    pixels = stored["recon"] if path.suffix == ".npz" else stored
    return torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255


@torch.inference_mode()
def reconstructed(path: Path, images: Tensor) -> Tensor:
    """Return the images decoded from the posterior's mean by a stored model."""
    from harness.artefacts import load_model

    model = load_model(path)
    if tuple(model.image_shape) != tuple(images.shape[1:]):
        raise SystemExit(
            f"{path} makes images of {tuple(model.image_shape)}, not {tuple(images.shape[1:])}: "
            "choose another --side or another model"
        )
    return torch.cat([model.decode(model.encode(part)[0])[1] for part in images.split(BATCH)])


def described(recon: Tensor, images: Tensor) -> str:
    """Return the PSNR of reconstructions of the same images, or the count of others."""
    if recon.shape == images.shape:
        return f"{mean_psnr(recon, images):.2f} dB"
    return f"{len(recon)} images"


def moments_of(extractor: Features, images: Tensor) -> dict[int, Moments]:
    """Return the moments of every depth of the extractor, by number of features."""
    found: dict[int, Moments] = {}
    taps = getattr(extractor, "taps", None)
    for part in images.split(BATCH):
        features = taps(part) if taps else {extractor.dims: extractor(part)}
        for dims, values in features.items():
            found.setdefault(dims, Moments()).update(values)
    return dict(sorted(found.items(), reverse=True))


def readings(real: dict[int, DistanceTo], other: dict[int, Moments]) -> dict[str, float]:
    """Return every reading of the distance by its name."""
    distances = {dims: distance(other[dims]) for dims, distance in real.items()}
    return {
        f"{dims} features{name}": value / scale
        for dims, value in distances.items()
        for name, scale in SCALES.items()
    }


def table(found: dict[str, dict[str, float]], count: int) -> str:
    """Return the readings as text: one per row, one set of images per column."""
    low, high = RANGE
    blurs = list(found)[: len(PAPER)]
    lines = [f"{chr(65 + column)}: {name}" for column, name in enumerate(found)]
    lines += [f"the paper at {psnr} dB: {value or '-'}" for psnr, value in PAPER.items()]
    heads = "".join(f"{chr(65 + column):>12}" for column in range(len(found)))
    lines += ["", f"{'reading':<24}{heads}  in {low}-{high}"]
    for reading in next(iter(found.values())):
        values = "".join(f"{each[reading]:>12.5g}" for each in found.values())
        lands = all(low <= found[name][reading] <= high for name in blurs)
        few = ", singular: too few images" if count <= int(reading.split()[0]) else ""
        lines.append(f"{reading:<24}{values}  {'yes' if lands else 'no'}{few}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
