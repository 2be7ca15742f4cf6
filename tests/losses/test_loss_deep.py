"""Losses on pretrained networks, with random weights against the packages that define them."""

import copy
import io
import os
import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from patterns import pattern
from safetensors.torch import load_file, save_file
from torch import nn

import losses
from benchmarks.random_weights import heads, random_features, structure_and_texture, write_all
from losses.backbones import WrongWeights
from losses.base import MissingWeights
from losses.networks import ALEXNET, SQUEEZENET, VGG16
from losses.options import InvalidOption

LATENT = torch.zeros(2, 4)
# Enlarged no more than the networks need, for speed.
EVERY = [
    ("lpips", {"min_side": 16}),
    ("lpips", {"net": "alex", "min_side": 32}),
    ("lpips", {"net": "squeeze", "min_side": 24}),
    ("vgg", {"min_side": 16}),
    ("squeeze", {}),
    ("dfc", {}),
    ("dfc", {"layers": 345, "min_side": 16}),
    ("dfc", {"backbone": "caffe"}),
    ("dists", {"min_side": 16}),
]
CHEAP = [("lpips", {"net": "alex", "min_side": 32}), ("squeeze", {}), ("dfc", {})]
SHAPE = (3, 16, 16)
each = pytest.mark.parametrize(("name", "options"), EVERY, ids=str)
each_cheap = pytest.mark.parametrize(("name", "options"), CHEAP, ids=str)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def make(files):
    def made(name, shape=SHAPE, **options):
        return losses.build(name, image_shape=shape, weights=files, **options)

    return made


def images(n, *shape, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, n, *shape, generator=generator, dtype=dtype)


def native(loss, recon, target):
    return (loss(recon, target, LATENT) / loss.native_scale).tolist()


def torchvisions(name, path):
    """The network of torchvision with the weights of `path`, its features only."""
    with torch.device("meta"):
        features = getattr(torchvision.models, name)(weights=None).features
    state = {key.removeprefix("features."): value for key, value in load_file(path).items()}
    features.load_state_dict(state, assign=True)
    return features


def packages(net, name, path, monkeypatch):
    """The lpips package with the trunk of `path` and the linear weights of the tests."""
    trunk = nn.Module()
    trunk.features = torchvisions(name, path)
    monkeypatch.setattr(lpips.pretrained_networks.tv, name, lambda pretrained: trunk)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    reference.load_state_dict(heads(net), strict=False)
    return reference


@pytest.mark.parametrize(
    ("net", "name"), [("vgg", "vgg16"), ("alex", "alexnet"), ("squeeze", "squeezenet1_1")]
)
def test_lpips_equals_the_package(net, name, files, make, monkeypatch):
    file = files["squeezenet" if net == "squeeze" else name]
    reference = packages(net, name, file, monkeypatch)
    x, y = pattern(2, 3, 64, 80)
    expected = reference(y, x, normalize=True).flatten().tolist()
    assert native(make("lpips", (3, 64, 80), net=net), y, x) == pytest.approx(expected, rel=1e-5)
    x, y = (v[..., :24, :30].double() for v in (x, y))
    enlarged = [F.interpolate(v, (64, 80), mode="bilinear") for v in (y, x)]
    expected = reference.double()(*enlarged, normalize=True).flatten().tolist()
    assert native(make("lpips", (3, 24, 30), net=net), y, x) == pytest.approx(expected, rel=1e-6)


def test_lpips_reads_the_linear_weights_of_the_wheel(files, make):
    folder = Path(lpips.__file__).parent / "weights" / "v0.1"
    weights = dict(files) | {f"lpips-{net}": folder / f"{net}.pth" for net in ("vgg", "squeeze")}
    x, y = pattern(2, 3, 64, 64)
    for net in ("vgg", "squeeze"):
        loss = losses.build("lpips", image_shape=(3, 64, 64), weights=weights, net=net)
        assert 0 < min(native(loss, y, x)) < 1


@pytest.mark.parametrize(("name", "network"), [("vgg", VGG16), ("squeeze", SQUEEZENET)])
def test_czolbes_losses_take_zero_to_one_through_the_scaling_meant_for_signed(
    name, network, files, make, monkeypatch
):
    backbone = {"vgg": "vgg16", "squeeze": "squeezenet1_1"}[name]
    reference = packages(name, backbone, files[network.name], monkeypatch)
    reference.load_state_dict(heads(name, 3), strict=False)
    x, y = pattern(2, 3, 32, 40)
    plain = reference(y, x, normalize=False).flatten().tolist()
    signed = reference(y, x, normalize=True).flatten().tolist()
    assert native(make(name, (3, 32, 40)), y, x) == pytest.approx(plain, rel=1e-5)
    assert native(make(name, (3, 32, 40), signed=True), y, x) == pytest.approx(signed, rel=1e-5)
    reference.load_state_dict(heads(name, 4), strict=False)  # gray: its own weights, repeated
    gray_x, gray_y = x[:, :1], y[:, :1]
    expected = reference(gray_y.repeat(1, 3, 1, 1), gray_x.repeat(1, 3, 1, 1)).flatten().tolist()
    assert native(make(name, (1, 32, 40)), gray_y, gray_x) == pytest.approx(expected, rel=1e-5)


def mean_features(images, features, taps):
    found = []
    for index, layer in enumerate(features[: taps[-1] + 1]):
        images = layer(images)
        if index in taps:
            found.append(images.clone())
    return found


@pytest.mark.parametrize(("layers", "taps"), [(123, (1, 6, 11)), (345, (11, 20, 29))])
def test_dfc_is_half_the_papers_layer_losses(layers, taps, files, make):
    features = torchvisions("vgg19", files["vgg19"])
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x, y = pattern(2, 3, 32, 40)
    pairs = zip(*(mean_features((v - mean) / std, features, taps) for v in (x, y)), strict=True)
    expected = sum(
        0.5 * (a - b).double().square().sum((1, 2, 3)) / (2 * a[0].numel()) for a, b in pairs
    )
    ours = native(make("dfc", (3, 32, 40), layers=layers), y, x)
    assert ours == pytest.approx(expected.tolist(), rel=1e-5)


def test_dfc_on_caffes_network_sees_blue_first_from_0_to_255_less_the_mean(files, make):
    features = torchvisions("vgg19", files["vgg19"])
    mean = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    x, y = pattern(2, 3, 32, 32)
    taps = (1, 6, 11)
    pairs = zip(
        *(mean_features(v[:, [2, 1, 0]] * 255 - mean, features, taps) for v in (x, y)), strict=True
    )
    expected = sum(0.25 * (a - b).double().square().mean((1, 2, 3)) for a, b in pairs)
    loss = make("dfc", (3, 32, 32), backbone="caffe")
    assert native(loss, y, x) == pytest.approx(expected.tolist(), rel=1e-5)
    assert loss.beta_range[0] > 1000 * make("dfc").beta_range[0]
    assert type(loss).required(3, backbone="caffe") == ("vgg19-caffe",)


def test_dists_equals_piq(files, make, monkeypatch):
    piq = pytest.importorskip("piq")
    features = torchvisions("vgg16", files["vgg16"])
    from piq import feature_extractors, perceptual

    given = nn.Module()
    given.features = features
    state = structure_and_texture()
    total = state["alpha"].sum() + state["beta"].sum()
    normalised = {name: values / total for name, values in state.items()}
    monkeypatch.setattr(perceptual, "vgg16", lambda **_: given, raising=False)
    monkeypatch.setattr(feature_extractors, "vgg16", lambda **_: given, raising=False)
    for module in (torch.hub, perceptual):
        monkeypatch.setattr(
            module, "load_state_dict_from_url", lambda *_, **__: normalised, raising=False
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = piq.DISTS(reduction="none")
    x, y = pattern(2, 3, 64, 80)
    expected = reference(y, x).flatten().tolist()
    assert native(make("dists", (3, 64, 80)), y, x) == pytest.approx(expected, abs=2e-5)


def dists_by_hand(x, y, features):
    """The definition, term by term, in float64 as the authors' code writes it."""
    window = torch.tensor(np.outer(*[np.hanning(5)[1:-1]] * 2))
    window = (window / window.sum())[None, None]
    mean, std = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1)
        for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def extract(images):
        maps, found = (images - mean) / std, [images]
        for index, layer in enumerate(features[:30]):
            if isinstance(layer, nn.MaxPool2d):
                kernel = window.repeat(maps.shape[1], 1, 1, 1)
                pooled = F.conv2d(maps**2, kernel, stride=2, padding=1, groups=maps.shape[1])
                maps = (pooled + 1e-12).sqrt()
            else:
                maps = layer(maps)
            if index in (3, 8, 15, 22, 29):
                found.append(maps.clone())
        return found

    state = structure_and_texture()
    total = state["alpha"].double().sum() + state["beta"].double().sum()
    sizes = (3, 64, 128, 256, 512, 512)
    alphas, betas = (
        torch.split(state[k].double().flatten() / total, sizes) for k in ("alpha", "beta")
    )
    similarity = 0
    for a, b, alpha, beta in zip(extract(x), extract(y), alphas, betas, strict=True):
        mu_a, mu_b = a.mean((2, 3)), b.mean((2, 3))
        covariance = (a * b).mean((2, 3)) - mu_a * mu_b
        variances = a.var((2, 3), correction=0) + b.var((2, 3), correction=0)
        texture = (2 * mu_a * mu_b + 1e-6) / (mu_a**2 + mu_b**2 + 1e-6)
        similarity += texture @ alpha + (2 * covariance + 1e-6) / (variances + 1e-6) @ beta
    return 1 - similarity


def test_dists_equals_its_definition(files, make):
    features = torchvisions("vgg16", files["vgg16"]).double()
    x, y = (v.double() for v in pattern(2, 3, 32, 35))
    expected = dists_by_hand(x, y, features).tolist()
    loss = make("dists", (3, 32, 35), min_side=1)
    assert native(loss, y, x) == pytest.approx(expected, rel=1e-6)
    assert native(loss, y.float(), x.float()) == pytest.approx(expected, rel=1e-5)


@each
def test_identical_images_cost_nothing_and_worse_ones_more(name, options, make):
    loss = make(name, **options)
    noise, target = images(2, *SHAPE)
    recon = target.clone().requires_grad_()
    loss(recon, target, LATENT).sum().backward()
    assert recon.grad.abs().max() == 0
    energy = [loss(target.lerp(noise, t), target, LATENT) for t in (0.0, 0.05, 0.2, 0.5)]
    assert energy[0].tolist() == [0, 0]
    assert torch.stack(energy).diff(dim=0).gt(0).all()


@each
def test_gradients_are_finite_at_the_extremes(name, options, make):
    loss = make(name, **options)
    noise = images(1, *SHAPE)[0]
    values = torch.cat([torch.zeros_like(noise), torch.ones_like(noise), noise])
    recon, target = (values[list(order)] for order in ((0, 0, 1, 2), (1, 2, 2, 0)))
    recon = recon.requires_grad_()
    energy = loss(recon, target, torch.zeros(4, 4))
    energy.sum().backward()
    assert energy.isfinite().all() and recon.grad.isfinite().all()


@each
def test_an_image_does_not_depend_on_its_batch(name, options, make):
    loss = make(name, **options)
    recon, target = images(3, *SHAPE)
    together = loss(recon, target, LATENT)
    alone = torch.cat([loss(recon[i : i + 1], target[i : i + 1], LATENT) for i in range(3)])
    assert torch.allclose(together, alone, rtol=1e-5)


@each
def test_nothing_is_trained_stored_or_drawn(name, options, make):
    before = torch.get_rng_state()
    loss = make(name, **options)
    assert not list(loss.parameters()) and not loss.state_dict()
    assert not loss.batch_coupled and loss.native_scale == 768
    assert all(not buffer.requires_grad for buffer in loss.buffers())
    assert torch.equal(before, torch.get_rng_state())


@each_cheap
def test_float64_is_kept_and_more_accurate(name, options, make):
    loss = make(name, **options)
    recon, target = images(2, *SHAPE, dtype=torch.float64)
    exact = loss(recon, target, LATENT)
    assert exact.dtype == torch.float64
    rounded = loss(recon.float(), target.float(), LATENT)
    assert rounded.dtype == torch.float32
    assert torch.allclose(exact, rounded.double(), rtol=1e-4)
    twice = make(name, **options).double()(recon, target, LATENT)
    assert torch.allclose(exact, twice, rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), [*CHEAP, ("dists", {"min_side": 1})], ids=str)
def test_gradients_are_those_of_the_value(name, options, make):
    loss = make(name, (1, 8, 8), **options)
    recon, target = images(1, 1, 8, 8, dtype=torch.float64)
    recon.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(recon, target, LATENT).sum(), recon)
    step = 1e-6 * torch.randn(recon.shape, dtype=recon.dtype, generator=torch.manual_seed(0))
    with torch.no_grad():
        up, down = (loss(recon + sign * step, target, LATENT) for sign in (1, -1))
    assert ((gradient * step).sum() * 2).item() == pytest.approx((up - down).item(), rel=1e-4)


@each_cheap
def test_copies_keep_the_value_and_meta_needs_no_memory(name, options, make):
    loss = make(name, **options)
    recon, target = images(2, *SHAPE)
    assert torch.equal(copy.deepcopy(loss)(recon, target, LATENT), loss(recon, target, LATENT))
    with torch.device("meta"):
        empty = make(name, **options)
    assert {buffer.device.type for buffer in empty.buffers()} == {"meta"}
    assert empty(recon.to("meta"), target.to("meta"), LATENT).shape == (2,)
    assert {buffer.device.type for buffer in loss.to("meta").buffers()} == {"meta"}


def test_small_images_are_enlarged_or_refused_in_one_sentence(make):
    recon, target = images(2, *SHAPE)
    for name, options, side in [
        *(("lpips", {"net": net}, 64) for net in ("vgg", "alex", "squeeze")),
        ("dists", {}, 64),
        *((name, {}, 32) for name in ("vgg", "squeeze", "dfc")),
    ]:
        assert make(name, **options).extractor.size == (side, side)
    for options, words in [
        (
            {"net": "alex"},
            "16x16 are too small for alexnet, which needs 31 pixels; set min_side to 31",
        ),
        ({"net": "squeeze"}, "for squeezenet, which needs 17 pixels"),
    ]:
        with pytest.raises(InvalidOption, match=words):
            make("lpips", min_side=1, **options)
        needed = int(words.split("needs ")[1].split()[0])
        assert make("lpips", (3, needed, needed), min_side=1, **options)
    assert make("vgg", min_side=1)(recon, target, LATENT).isfinite().all()
    with pytest.raises(InvalidOption, match="16 pixels"):
        make("vgg", (3, 15, 20), min_side=1)


@pytest.mark.parametrize("name", ["squeeze", "lpips"])
@pytest.mark.parametrize(("n", "shape"), [(1, (1, 17, 40)), (3, (3, 33, 20)), (2, (3, 64, 31))])
def test_any_size_gives_finite_energies_and_gradients(name, n, shape, make):
    loss = make(name, shape, **({"net": "alex"} if name == "lpips" else {}))
    recon, target = images(n, *shape)
    recon.requires_grad_()
    energy = loss(recon, target, LATENT)
    energy.sum().backward()
    assert energy.shape == (n,) and energy.isfinite().all()
    assert recon.grad.isfinite().all() and recon.grad.abs().sum() > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(loss(recon, target, LATENT), energy, rtol=1e-5)


def test_one_channel_is_repeated(make):
    recon, target = images(2, 1, 16, 16)
    for name, options in (("lpips", {"min_side": 16}), ("dfc", {}), ("dists", {"min_side": 16})):
        gray = native(make(name, (1, 16, 16), **options), recon, target)
        colour = native(make(name, **options), recon.repeat(1, 3, 1, 1), target.repeat(1, 3, 1, 1))
        assert gray == pytest.approx(colour, rel=1e-6)


def test_the_names_of_the_weights_follow_options_and_channels():
    find = losses.find
    assert find("lpips").required(3) == ("vgg16", "lpips-vgg")
    assert find("lpips").required(None, net="alex", min_side=64) == ("alexnet", "lpips-alex")
    assert find("vgg").required(3) == ("vgg16", "deeploss-vgg-rgb")
    assert find("squeeze").required(1) == ("squeezenet", "deeploss-squeeze-gray")
    assert find("dfc").required(3) == ("vgg19",)
    assert find("dists").required(1) == ("vgg16", "dists")
    with pytest.raises(
        MissingWeights, match="LPIPS needs the pretrained weights alexnet, lpips-alex"
    ):
        losses.build("lpips", image_shape=(3, 32, 32), net="alex")


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((2, 32, 32), {}, "images have 2 channels; networks trained on photographs take 3, or 1"),
        ((3, 32, 32), {"min_side": 0}, "min_side is 0; give a positive number"),
        ((3, 32, 32), {"net": "resnet"}, "net is 'resnet'; give 'vgg' or 'alex' or 'squeeze'"),
    ],
)
def test_bad_options_are_refused(shape, options, words, make):
    with pytest.raises(InvalidOption, match=words):
        make("lpips", shape, **options)


def test_dfc_refuses_other_layers_and_networks(make):
    for options in ({"layers": 234}, {"backbone": "keras"}):
        with pytest.raises(InvalidOption, match=f"{next(iter(options))} is"):
            make("dfc", **options)


def test_images_of_another_shape_are_refused(make):
    recon, target = images(2, 3, 40, 32)
    with pytest.raises(
        InvalidOption, match=r"built for images \(3, 16, 16\) but got \(3, 40, 32\)"
    ):
        make("dfc")(recon, target, LATENT)


def test_files_with_a_classifier_and_older_torch_files_are_read(tmp_path, files, make):
    state = random_features(ALEXNET) | {"classifier.1.weight": torch.zeros(2, 3)}
    for path, legacy in ((tmp_path / "new.pth", False), (tmp_path / "old.pth", True)):
        torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        weights = dict(files) | {"alexnet": path}
        loss = losses.build("lpips", image_shape=SHAPE, weights=weights, net="alex")
        recon, target = images(2, *SHAPE)
        expected = make("lpips", net="alex")(recon, target, LATENT)
        assert torch.equal(loss(recon, target, LATENT), expected)


def test_files_of_other_contents_are_refused(tmp_path, files):
    def build(path):
        weights = dict(files) | {"alexnet": path}
        return losses.build("lpips", image_shape=(3, 32, 32), weights=weights, net="alex")

    with pytest.raises(
        WrongWeights, match=r"is not the alexnet weights.*features.0.weight of shape"
    ):
        build(files["vgg16"])
    with pytest.raises(WrongWeights, match=r"is not the alexnet weights.*is not there"):
        build(files["lpips-alex"])
    for name, content in (("text.pth", b"no tensors"), ("text.safetensors", b"no tensors")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WrongWeights, match="holds no tensors that can be read"):
            build(tmp_path / name)
    stream = io.BytesIO()
    torch.save(torch.zeros(3), stream)
    (tmp_path / "tensor.pth").write_bytes(stream.getvalue())
    with pytest.raises(WrongWeights, match="holds Tensor, not tensors by name"):
        build(tmp_path / "tensor.pth")
    save_file({"lin0.model.1.weight": torch.zeros(1, 3, 1, 1)}, tmp_path / "heads.safetensors")
    weights = dict(files) | {"lpips-alex": tmp_path / "heads.safetensors"}
    with pytest.raises(
        WrongWeights, match=r"heads.safetensors is not the lpips-alex weights: lin0"
    ):
        losses.build("lpips", image_shape=(3, 32, 32), weights=weights, net="alex")


def test_lpips_with_the_real_squeezenet():
    given = os.environ.get("HARNESS_WEIGHTS")
    backbone = Path(given or ".") / "squeezenet1_1-b8a52dc0.pth"
    if not backbone.is_file():
        pytest.skip(f"needs {backbone.name} in the folder named by HARNESS_WEIGHTS")
    linear = Path(lpips.__file__).parent / "weights" / "v0.1" / "squeeze.pth"
    weights = {"squeezenet": backbone, "lpips-squeeze": linear}
    loss = losses.build("lpips", image_shape=(3, 100, 100), weights=weights, net="squeeze")
    noise = images(10, 3, 100, 100, seed=123)
    # torchmetrics documents 0.1005 and 0.1024 for two draws of such noise.
    assert np.mean(native(loss, *noise)) == pytest.approx(0.1015, abs=0.004)
