"""DISTS's similarities and pooling: equal to their formulas, with gradients of their own."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from losses import pieces
from losses.dists_maps import dissimilarities, l2_pool

SIZES = [(8, 8), (7, 10), (10, 7), (1, 1), (1, 4), (2, 3)]
each_size = pytest.mark.parametrize("size", SIZES, ids=str)


@pytest.fixture(params=[2**20, 16], ids=["whole", "pieces"], autouse=True)
def piece(request, monkeypatch):
    monkeypatch.setattr(pieces, "VALUES_ON_CPU", request.param)


def drawn(*shape: int) -> Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def as_written(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The paper's equations 6 and 7."""
    mu_x, mu_y = x.mean((2, 3)), y.mean((2, 3))
    var_x, var_y = (maps.var((2, 3), correction=0) for maps in (x, y))
    covariance = (x * y).mean((2, 3)) - mu_x * mu_y
    texture = (2 * mu_x * mu_y + 1e-6) / (mu_x**2 + mu_y**2 + 1e-6)
    return 1 - texture, 1 - (2 * covariance + 1e-6) / (var_x + var_y + 1e-6)


@each_size
def test_dissimilarities_are_the_papers_equations(size):
    x, y = drawn(2, 3, *size)
    for ours, theirs in zip(dissimilarities(x, y), as_written(x, y), strict=True):
        assert ours.shape == (2, 3)
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@each_size
@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True)], ids=str)
def test_gradients_of_dissimilarities(size, sides):
    x, y = (
        maps.requires_grad_(needed) for maps, needed in zip(drawn(2, 3, *size), sides, strict=True)
    )
    assert torch.autograd.gradcheck(dissimilarities, (x, y))


def test_gradients_equal_those_of_plain_operations():
    maps = drawn(2, 3, 6, 9)
    weights = drawn(2, 3)
    found = []
    for pair in (dissimilarities, as_written):
        x, y = (each.clone().requires_grad_() for each in maps)
        sum((w * d).sum() for w, d in zip(weights, pair(x, y), strict=True)).backward()
        found.append((x.grad, y.grad))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9)


def test_identical_maps_have_the_value_and_the_gradient_zero():
    x = 40 * drawn(1, 3, 8, 8)[0].float()
    y = x.clone().requires_grad_()
    texture, structure = dissimilarities(x, y)
    (texture.sum() + structure.sum()).backward()
    assert texture.eq(0).all() and structure.eq(0).all() and y.grad.eq(0).all()


def test_flat_maps_of_single_precision_have_no_variance():
    """The mean of squares less the square of the mean would be off by a thousand times c2."""
    x = torch.full((1, 1, 64, 64), 97.3)
    y = torch.full((1, 1, 64, 64), 97.4).requires_grad_()
    _, structure = dissimilarities(x, y)
    structure.sum().backward()
    assert structure.item() < 1e-3
    assert y.grad.abs().max() < 1


@each_size
def test_l2_pooling_is_the_hann_window(size):
    maps = drawn(2, 3, *size)[0]
    window = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    kernel = torch.outer(window, window).expand(3, 1, 3, 3)
    expected = F.conv2d(maps**2, kernel, stride=2, padding=1, groups=3)
    assert torch.allclose(l2_pool(maps), (expected + 1e-12).sqrt(), rtol=1e-12)


@each_size
def test_gradients_of_l2_pooling(size):
    assert torch.autograd.gradcheck(l2_pool, (drawn(2, 3, *size)[0].requires_grad_(),))


def test_black_maps_are_pooled_without_infinite_gradients():
    maps = torch.zeros(1, 2, 8, 8, requires_grad=True)
    l2_pool(maps).sum().backward()
    assert maps.grad.eq(0).all()
