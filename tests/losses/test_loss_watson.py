"""Watson's losses: the sheet's values, a slow transcription, colour, shift, weights."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from patterns import pattern
from safetensors.torch import save_file
from scipy.fft import dctn

import losses
from losses.backbones import WrongWeights
from losses.base import MissingContext, MissingWeights
from losses.blocks8 import fourier, move_grid
from losses.options import InvalidOption
from losses.watson_parameters import SENSITIVITY

NAMES = [f"watson-{form}-{kind}" for form in ("dft", "dct") for kind in ("rgb", "gray")]
FORMS = ("watson-dft", "watson-dct")
FOLDER = os.environ.get("HARNESS_WEIGHTS")
RELEASED = Path(FOLDER or ".") / "watson_czolbe2020.safetensors"
with_released = pytest.mark.skipif(
    not (FOLDER and RELEASED.is_file()), reason="needs watson_czolbe2020.safetensors"
)
each_form = pytest.mark.parametrize("name", FORMS)


def make(name, shape=(3, 64, 64), weights=None, **options):
    given = dict.fromkeys(NAMES, weights) if weights else None
    return losses.build(name, image_shape=shape, weights=given, **options)


def energy(loss, recon, target):
    return loss(recon, target, torch.zeros(len(recon), 1))


def check_goldens(loss, each, total, swapped, alone, identical):
    x, y = pattern(2, *loss.image_shape)
    values = energy(loss.eval(), y, x)
    assert values.tolist() == pytest.approx(each, rel=1e-5)
    assert values.sum().item() == pytest.approx(total, rel=1e-5)
    assert energy(loss, x, y).sum().item() == pytest.approx(swapped, rel=1e-5)
    assert energy(loss, y[:1], x[:1]).item() == pytest.approx(alone, rel=1e-5)
    assert energy(loss, x, x).tolist() == pytest.approx([identical] * 2, rel=1e-4)


def test_untuned_goldens_in_colour():
    dft = ([103.9512, 104.4958], 208.4470, 208.3905, 103.9513, 0.152253)
    dct = ([0.486186, 0.488775], 0.974961, 0.869758, 0.486223, 0.0252982)
    for name, (each, total, swapped, alone, identical) in zip(FORMS, (dft, dct), strict=True):
        check_goldens(make(name), each, total, swapped, alone, identical)


@with_released
def test_tuned_goldens_in_colour():
    dft = ([1143.884, 1149.583], 2293.468, 2219.705, 1144.151, 0.0120073)
    dct = ([1.193861, 1.214397], 2.408259, 2.224474, 1.194065, 0.0013012)
    for name, (each, total, swapped, alone, identical) in zip(FORMS, (dft, dct), strict=True):
        loss = make(name, weights=RELEASED, tuned=True)
        check_goldens(loss, each, total, swapped, alone, identical)


def gray(loss):
    x, y = (images[:, :1] for images in pattern(2, 3, 64, 64))
    return energy(loss.eval(), y, x).tolist()


def test_untuned_goldens_in_grey():
    shape = (1, 64, 64)
    assert gray(make("watson-dft", shape)) == pytest.approx([110.8546, 108.4003], rel=1e-5)
    assert gray(make("watson-dct", shape)) == pytest.approx([2.33233, 2.38249], rel=1e-5)


@with_released
def test_tuned_goldens_in_grey():
    shape, options = (1, 64, 64), {"weights": RELEASED, "tuned": True}
    assert gray(make("watson-dft", shape, **options)) == pytest.approx([873.570, 865.281], rel=1e-5)
    assert gray(make("watson-dct", shape, **options)) == pytest.approx([61.0960, 61.9876], rel=1e-5)


@with_released
def test_tuned_scalars():
    expected = {
        ("watson-dft", 3): (
            [0.1710, -0.8673, 1.5135],
            [0.2626, 0.0461, 0.0468],
            [0.6120, 0.5922, 0.5863],
            [0.351, 0.301, 0.348],
        ),
        ("watson-dct", 3): (
            [0.7861, 0.0350, 0.9505],
            [0.5174, 0.5506, 0.4863],
            [2.098, 2.161, 2.291],
            [0.174, 0.384, 0.442],
        ),
        ("watson-dft", 1): ([-0.1352], [0.2057], [0.6145], [1]),
        ("watson-dct", 1): ([0.2314], [0.4303], [0.9651], [1]),
    }
    for (name, channels), values in expected.items():
        loss = make(name, (channels, 8, 8), weights=RELEASED, tuned=True)
        for buffer, wanted in zip(("alpha", "w", "beta", "colours"), values, strict=True):
            assert loss.get_buffer(buffer).flatten().tolist() == pytest.approx(wanted, abs=5.1e-4)


@with_released
def test_white_on_black_and_the_gradients_of_the_sheet():
    loss = make("watson-dft", weights=RELEASED, tuned=True).eval()
    white = torch.ones(1, 3, 64, 64)
    assert energy(loss, white, torch.zeros_like(white)).item() == pytest.approx(678.19, abs=0.006)
    x, y = pattern(2, 3, 64, 64)
    for recon, norm in ((y.clone(), 3046.2), (x.clone(), 0.0)):
        recon.requires_grad_()
        energy(loss, recon, x).sum().backward()
        assert recon.grad.norm().item() == pytest.approx(norm, abs=0.05)


def test_the_sensitivity_table_is_watsons():
    loss = make("watson-dct", (1, 8, 8))
    table = loss.log_t.exp()[0, 0]
    assert torch.equal(table, table.T)
    assert [table[i, i].item() for i in range(8)] == pytest.approx([r[0] for r in SENSITIVITY])
    assert table[7, 0].item() == pytest.approx(6.56)


# ---- a slow transcription, from files of random parameters ----


def random_model(form, seed):
    draw = np.random.default_rng(seed)
    size = (8, 5) if form == "fft" else (8, 8)
    model = {"t_tild": draw.normal(size=size), "alpha": draw.normal(), "w_tild": draw.normal()}
    model["beta"] = draw.uniform(0.5, 3)
    if form == "fft":
        model["w_phase_tild"] = draw.normal(size=size) - 2
    return model


def random_state(form, channels, seed=0):
    """Return `(models, colour weights, state)`, the state named as in the released files."""
    models = [random_model(form, seed + i) for i in range(channels)]
    colours = np.array([0.3, -0.2, 0.5])[:channels]
    parts = ("",) if channels == 1 else ("ly.", "lcb.", "lcr.")
    state = {
        part + k: torch.tensor(v)
        for part, m in zip(parts, models, strict=True)
        for k, v in m.items()
    }
    if channels == 3:
        state["w_tild"] = torch.tensor(colours)
    # as stored, in float32
    models = [{k: np.float32(v).astype(np.float64) for k, v in m.items()} for m in models]
    return models, np.float32(colours).astype(np.float64), {k: v.float() for k, v in state.items()}


def smax(p, q):
    return (p * np.exp(p) + q * np.exp(q)) / (np.exp(p) + np.exp(q))


def by_hand(form, model, recon, target):
    """Return the distance of grey images `(N, H, W)` of a batch, one loop per block."""
    eps = 1e-10
    transform = (
        (lambda b: np.fft.rfft2(b) / 64) if form == "fft" else (lambda b: dctn(b, norm="ortho"))
    )
    blocks = [(i, j) for i in range(0, target.shape[1], 8) for j in range(0, target.shape[2], 8)]
    size = (lambda c: abs(c + eps + 1j * eps)) if form == "fft" else abs
    lums = [[size(transform(x[i : i + 8, j : j + 8]))[0, 0] for i, j in blocks] for x in target]
    mean, beta = np.mean(lums), model["beta"]
    w = 1 / (1 + np.exp(-model["w_tild"]))
    phases = np.exp(model["w_phase_tild"]) if form == "fft" else None
    if form == "fft":
        for i, j in ((0, 0), (0, 4), (4, 0), (4, 4)):
            phases[i, j] = 0
    found = []
    for x, y, lum in zip(target, recon, lums, strict=True):
        d = p = 0.0
        for (i, j), dc in zip(blocks, lum, strict=True):
            c0, c1 = transform(x[i : i + 8, j : j + 8]), transform(y[i : i + 8, j : j + 8])
            t = np.exp(model["t_tild"]) * ((dc + eps) / (mean + eps)) ** model["alpha"]
            s = smax(t, (size(c0) + eps) ** w * t ** (1 - w))
            difference = size(c0) - size(c1) if form == "fft" else c0 - c1
            d += np.sum((abs(difference) / s + eps) ** beta + eps)
            if form == "fft":
                turned = np.angle(c0 + eps) - np.angle(c1 + eps)
                p += np.sum(phases * np.arccos(np.cos(turned) * (1 - 1e-7)))
        found.append(d ** (1 / beta) + p)
    return np.array(found)


def ycbcr(images):
    r, g, b = (images[:, i] for i in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb = -0.1687 * r - 0.3313 * g + 0.5 * b + 0.5
    return y, cb, 0.5 * r - 0.4187 * g - 0.0813 * b + 0.5


@each_form
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_any_parameters_against_a_slow_transcription(name, channels, kind, tmp_path):
    form = {"watson-dft": "fft", "watson-dct": "dct"}[name]
    models, colours, state = random_state(form, channels)
    path = tmp_path / f"weights.{kind}"
    if kind == "pth":
        torch.save(state, path)
    else:
        stem = f"{'gray' if channels == 1 else 'rgb'}_watson_{form}."
        others = {f"other.{k}": v + 1 for k, v in state.items()}
        save_file({stem + k: v for k, v in state.items()} | others, path)
    shape = (channels, 16, 24)
    y, x = torch.rand(2, 2, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    loss = make(name, shape, weights=path, tuned=True).eval()
    split = ycbcr if channels == 3 else (lambda images: (images[:, 0],))
    distances = [
        by_hand(form, model, recon, target)
        for model, recon, target in zip(models, split(y.numpy()), split(x.numpy()), strict=True)
    ]
    expected = np.exp(colours) @ np.array(distances) / np.exp(colours).sum()
    assert energy(loss, y, x).numpy() == pytest.approx(expected, rel=1e-6)
    single = energy(loss, y.float(), x.float()).double().numpy()
    assert single == pytest.approx(expected, rel=1e-4)


# ---- properties ----


@each_form
@pytest.mark.parametrize("shape", [(1, 8, 16), (3, 8, 8)])
def test_gradients_are_those_of_the_value(name, shape):
    generator = torch.Generator().manual_seed(1)
    y, x = torch.rand(2, 2, *shape, generator=generator, dtype=torch.float64)
    loss = make(name, shape).eval()
    recon = y.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: energy(loss, v, x), recon, fast_mode=True)


@each_form
def test_per_image_mean_uncouples_the_batch(name):
    x, y = pattern(2, 3, 64, 64)
    x, y = torch.cat((x, x * 0.5)), torch.cat((y, y * 0.5))
    for per_image_mean in (False, True):
        loss = make(name, per_image_mean=per_image_mean).eval()
        assert loss.batch_coupled is not per_image_mean
        together = energy(loss, y, x)
        alone = torch.cat([energy(loss, y[i : i + 1], x[i : i + 1]) for i in range(4)])
        assert torch.allclose(together, alone, rtol=1e-6) is per_image_mean
        order = torch.tensor([2, 0, 3, 1])
        assert torch.allclose(energy(loss, y[order], x[order]), together[order], rtol=1e-6)


def test_the_moved_grid_is_padding_by_four_and_cropping():
    images = torch.rand(2, 3, 16, 24)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)), mode="edge")
    for down in range(8):
        for right in range(8):
            expected = padded[:, :, down : down + 16, right : right + 24]
            assert np.array_equal(move_grid(images, down - 4, right - 4), expected)


@each_form
def test_shift_draws_in_training_only_and_from_the_generator(name):
    x, y = pattern(2, 3, 16, 16)
    loss = make(name, (3, 16, 16), generator=torch.Generator().manual_seed(0))
    state = loss.generator.get_state()
    still = energy(loss.eval(), y, x)
    assert torch.equal(energy(loss, y, x), still)
    assert torch.equal(loss.generator.get_state(), state)
    drawn = torch.stack([energy(loss.train(), y, x) for _ in range(40)])
    assert len(drawn[:, 0].unique()) > 20
    loss.generator.set_state(state)
    assert torch.equal(energy(loss, y, x), drawn[0])
    down, right = torch.randint(-4, 4, (2,), generator=torch.Generator().manual_seed(0)).tolist()
    moved = [move_grid(images, down, right) for images in (y, x)]
    assert torch.equal(drawn[0], energy(loss.eval(), *moved))
    unshifted = make(name, (3, 16, 16), shift=False)
    assert torch.equal(energy(unshifted.train(), y, x), still)


@each_form
def test_a_shift_without_a_generator_is_refused(name):
    x, y = pattern(1, 1, 8, 8)
    with pytest.raises(MissingContext, match="generator"):
        energy(make(name, (1, 8, 8)), y, x)


@pytest.mark.parametrize(
    "colour", [(1, 1, 0), (0, 0, 0), (1, 1, 1), (0, 1, 1), (1, 0, 1), (0.3, 0.7, 0.1)]
)
def test_flat_colours_have_no_waves_and_finite_gradients(colour):
    flat = (
        torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 40, 72).contiguous()
    )
    coefficients = fourier(flat).abs()
    assert coefficients[..., 0, 0].allclose(flat[:, :, :1, 0])
    coefficients[..., 0, 0] = 0
    assert not coefficients.any()
    for name in FORMS:
        loss = make(name, (3, 40, 72)).eval()
        for target in (flat, torch.rand(1, 3, 40, 72)):
            recon = flat.clone().requires_grad_()
            value = energy(loss, recon, target)
            value.sum().backward()
            assert value.isfinite().all()
            assert recon.grad.isfinite().all()
            assert target is not flat or not recon.grad.any()


def test_required_weights_follow_the_options():
    for name in FORMS:
        required = losses.find(name).required
        assert required(3) == required(None, tuned=False) == ()
        assert required(3, tuned=True) == (f"{name}-rgb",)
        assert required(1, tuned=True) == (f"{name}-gray",)
        assert required(None, tuned=True) == (f"{name}-rgb", f"{name}-gray")


@each_form
def test_missing_and_wrong_weights(name, tmp_path):
    form = {"watson-dft": "fft", "watson-dct": "dct"}[name]
    with pytest.raises(MissingWeights, match=f"{name}-rgb"):
        make(name, tuned=True)
    path = tmp_path / "weights.pth"
    torch.save(random_state(form, 3)[2], path)
    with pytest.raises(WrongWeights, match="gray_watson"):
        make(name, (1, 8, 8), weights=path, tuned=True)
    torch.save(random_state(form, 1)[2], path)
    with pytest.raises(WrongWeights, match="rgb_watson"):
        make(name, weights=path, tuned=True)
    path.write_bytes(b"no archive")
    with pytest.raises(WrongWeights, match="fetch it again"):
        make(name, weights=path, tuned=True)


@each_form
def test_images_it_cannot_take(name):
    with pytest.raises(InvalidOption, match="2 channels"):
        make(name, (2, 8, 8))
    with pytest.raises(InvalidOption, match="28 x 30; resize them, for instance to 32 x 32"):
        make(name, (1, 28, 30))
    with pytest.raises(MissingContext, match="image_shape"):
        losses.build(name)
    x, y = pattern(1, 1, 8, 8)
    with pytest.raises(InvalidOption, match=r"built for images \(3, 8, 8\)"):
        energy(make(name, (3, 8, 8)), y, x)


def test_beta_range_follows_what_is_measured():
    colour = losses.build("watson-dft", image_shape=(3, 32, 32)).beta_range
    assert colour == pytest.approx(losses.find("watson-dft").beta_range)
    grey = losses.build("watson-dft", image_shape=(1, 32, 32)).beta_range
    assert grey == pytest.approx([6 / 3 * bound for bound in colour])
