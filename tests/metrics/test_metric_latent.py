import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from harness.metrics import latent


def test_divergence_golden() -> None:
    values = latent.kl_divergence(torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, -0.3]]))
    assert values.tolist() == pytest.approx([0.6561105], abs=1e-7)


@pytest.mark.parametrize("shape", [(6, 5), (6, 2, 3, 3)])
def test_divergence_equals_torch_distributions(shape: tuple[int, ...]) -> None:
    mu, logvar = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    posterior = Normal(mu.double(), (logvar.double() / 2).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(latent.kl_divergence(mu, logvar), expected)


def test_divergence_refuses_unequal_shapes() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        latent.kl_divergence(torch.zeros(2, 3), torch.zeros(2, 4))


def test_variance_equals_numpy_over_uneven_batches_with_a_large_mean() -> None:
    mu = torch.randn(101, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1e6
    units = latent.ActiveUnits()
    for batch in mu.split([1, 37, 0, 63]):
        units.update(batch)
    np.testing.assert_allclose(units.variance(), np.var(mu.numpy(), axis=0), rtol=1e-8)


def test_units_above_the_threshold_are_counted() -> None:
    # Alternating ±a has variance a²: .0081 is asleep, .0121 and 1 are awake.
    signs = torch.tensor([1.0, -1.0]).repeat(8)[:, None]
    units = latent.ActiveUnits()
    units.update(signs * torch.tensor([0.0, 0.09, 0.11, 1.0]))
    assert units.active() == 2
    assert units.active(threshold=0.005) == 3


def test_spatial_latents_count_every_entry() -> None:
    units = latent.ActiveUnits()
    units.update(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, 3, 2, 2))
    assert units.active() == 12


def test_no_images_and_changing_units_are_refused() -> None:
    units = latent.ActiveUnits()
    with pytest.raises(ValueError, match="No images"):
        units.active()
    units.update(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="4 latent units"):
        units.update(torch.zeros(2, 4))
