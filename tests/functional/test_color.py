"""Color mathematics: luma and the Monge-Kantorovich map."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from cyclegan.functional.color import Moments, color_moments, luma, map_colors, monge_kantorovich

seeds = st.integers(0, 10_000)


def random_images(seed: int, spread: float = 1.0, pixels: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(3, 3, generator=generator, dtype=torch.float64) * spread
    noise = torch.randn(2, 3, pixels, pixels, generator=generator, dtype=torch.float64)
    return torch.einsum("dc,nchw->ndhw", mixing, noise) + torch.randn(3, 1, 1, generator=generator)


def test_luma_weighs_the_primaries_as_bt_601():
    primaries = torch.eye(3)[:, :, None, None]
    assert torch.allclose(luma(primaries).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    assert luma(torch.full((1, 3, 2, 2), -1.0)).allclose(torch.tensor(-1.0))


def test_moments_are_those_of_all_pixels_together():
    batches = [random_images(0), random_images(1, pixels=5)]
    pixels = torch.cat([images.movedim(1, -1).reshape(-1, 3) for images in batches])
    mean, covariance = color_moments(batches)
    assert torch.allclose(mean, pixels.mean(dim=0))
    assert torch.allclose(covariance, torch.cov(pixels.mT, correction=0))


@given(seed=seeds)
def test_the_map_gives_the_source_the_mean_and_covariance_of_the_target(seed):
    images = random_images(seed)
    target = color_moments([random_images(seed + 1)])
    source = color_moments([images])
    variances = torch.linalg.eigvalsh(source.covariance)
    assume(variances.min() > 1e-8 * variances.max())  # what has no variance cannot be given any
    mapped = color_moments([map_colors(images, monge_kantorovich(source, target))])
    scale = source.covariance.trace() + target.covariance.trace()
    assert torch.allclose(mapped.mean, target.mean)
    assert torch.allclose(mapped.covariance, target.covariance, atol=1e-5 * scale.item())


@given(seed=seeds)
def test_the_map_is_symmetric_and_never_turns_a_color_around(seed):
    source, target = (color_moments([random_images(seed + i)]) for i in (0, 1))
    matrix = monge_kantorovich(source, target).matrix
    assert torch.allclose(matrix, matrix.mT, rtol=1e-4, atol=1e-6 * matrix.abs().max().item())
    assert torch.linalg.eigvalsh((matrix + matrix.mT) / 2).min() > -1e-6 * matrix.abs().max()


def test_independent_channels_are_scaled_by_the_ratio_of_deviations():
    source = Moments(torch.tensor([1.0, 0.0, 0.0]).double(), torch.diag(torch.tensor([1.0, 4.0, 9.0])).double())
    target = Moments(torch.tensor([5.0, 0.0, 0.0]).double(), torch.diag(torch.tensor([4.0, 1.0, 9.0])).double())
    matrix, offset = monge_kantorovich(source, target)
    assert torch.allclose(matrix, torch.diag(torch.tensor([2.0, 0.5, 1.0])).double())
    assert torch.allclose(offset, torch.tensor([3.0, 0.0, 0.0]).double())


@pytest.mark.parametrize("source", ["grey", "one color"])
def test_a_source_without_variance_in_some_color_stays_finite(source):
    images = random_images(3)[:, :1].repeat(1, 3, 1, 1) if source == "grey" else torch.full((1, 3, 4, 4), 0.3)
    target = color_moments([random_images(4)])
    mapped = color_moments([map_colors(images, monge_kantorovich(color_moments([images]), target))])
    assert torch.allclose(mapped.mean, target.mean)
    assert mapped.covariance.isfinite().all()
    assert mapped.covariance.trace() <= target.covariance.trace() * 1.0001


def test_chroma_that_a_grey_source_does_not_have_is_mapped_to_nothing():
    grey = random_images(5)[:, :1].repeat(1, 3, 1, 1)
    matrix = monge_kantorovich(color_moments([grey]), color_moments([random_images(6)])).matrix
    chroma = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]], dtype=torch.float64)
    assert torch.allclose(matrix @ chroma.mT, torch.zeros(3, 2, dtype=torch.float64), atol=1e-6)
