"""Color mathematics: luma and the Monge-Kantorovich map."""

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cyclegan.functional.color import (
    MODES,
    Moments,
    color_moments,
    luma,
    map_colors,
    match_colors,
    match_luma,
    monge_kantorovich,
    with_luma,
)

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


def picture(seed: int, spread: float = 0.1) -> torch.Tensor:
    """float32, almost everywhere within [-1, 1]."""
    return (0.1 * random_images(seed, spread)[:1].float()).clamp(-1, 1)


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=20)
@given(seed=seeds)
@example(seed=364)  # a source that hardly varies in one direction
def test_every_mode_gives_the_source_the_mean_and_covariance_of_the_target(mode, seed):
    images = random_images(seed)
    source, target = color_moments([images]), color_moments([random_images(seed + 1)])
    mapped = color_moments([map_colors(images, MODES[mode](source, target))])
    scale = source.covariance.trace() + target.covariance.trace()
    assert torch.allclose(mapped.mean, target.mean)
    assert torch.allclose(mapped.covariance, target.covariance, atol=0.01 * scale.item())


def test_the_modes_differ_by_a_rotation_only():
    source, target = (color_moments([random_images(seed)]) for seed in (0, 1))
    matrices = {mode: color_map(source, target).matrix for mode, color_map in MODES.items()}
    root = torch.linalg.cholesky(source.covariance)
    for matrix in matrices.values():
        between = torch.linalg.solve(matrices["sym"] @ root, matrix @ root)
        assert torch.allclose(between @ between.mT, torch.eye(3, dtype=torch.float64), atol=1e-4)
    assert not torch.allclose(matrices["pca"], matrices["sym"], rtol=0.01)
    assert not torch.allclose(matrices["pca"], matrices["cholesky"], rtol=0.01)


def test_the_symmetric_mode_moves_colors_least():
    images = random_images(0)
    source, target = (color_moments([random_images(seed)]) for seed in (0, 1))
    moved = {mode: (map_colors(images, m(source, target)) - images).square().mean() for mode, m in MODES.items()}
    assert moved["sym"] < min(moved["pca"], moved["cholesky"])


@pytest.mark.parametrize("mode", MODES)
def test_matching_a_picture_with_itself_changes_nothing(mode):
    images = picture(0)
    assert torch.allclose(match_colors(images, images, mode), images, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_grey_and_flat_pictures_are_matched_without_noise(mode):
    target = picture(1)
    for images in (picture(2)[:, :1].repeat(1, 3, 1, 1), torch.full((1, 3, 4, 4), 0.3)):
        matched = match_colors(images, target, mode)
        assert matched.dtype == torch.float32
        assert torch.allclose(matched.mean(dim=(2, 3)), target.mean(dim=(2, 3)), atol=0.02)
        assert matched.std(dim=(2, 3)).max() <= 1.1 * target.std(dim=(2, 3)).max()


def flat(*levels: int) -> torch.Tensor:
    """8-bit levels of red, green and blue."""
    return (torch.tensor(levels) / 127.5 - 1)[None, :, None, None].expand(1, 3, 64, 48)


def with_one_dot(image: torch.Tensor) -> torch.Tensor:
    """One level more in a corner."""
    dotted = image.clone()
    dotted[..., 0, 0] += 1 / 127.5
    return dotted


levels = st.integers(0, 255)


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None, max_examples=15)
@given(color=st.tuples(levels, levels, levels), other=st.tuples(levels, levels, levels))
@example(color=(200, 30, 60), other=(90, 140, 60))
def test_flat_nearly_flat_and_two_color_pictures_are_matched_either_way_in_every_mode(mode, color, other):
    plain, target = flat(*color), picture(1)
    halves = torch.cat([plain, flat(*other)], dim=3)
    for one in (plain, with_one_dot(plain), halves):
        for source, wanted in ((one, target), (target, one), (one, flat(*other)), (one, halves)):
            matched = match_colors(source, wanted, mode)
            assert matched.isfinite().all()
            assert torch.allclose(matched.mean(dim=(2, 3)), wanted.mean(dim=(2, 3)), atol=0.25)
    assert torch.allclose(match_colors(plain, target, mode), target.mean(dim=(2, 3), keepdim=True), atol=0.02)
    assert torch.allclose(match_colors(target, plain, mode), plain[..., :1, :1], atol=1e-3)


@given(seed=seeds)
def test_a_regular_covariance_is_mapped_by_its_cholesky_factors_to_the_bit(seed):
    source, target = (color_moments([random_images(seed + i)]) for i in (0, 1))
    trace = 1e-10 * torch.eye(3, dtype=torch.float64)
    of_source, of_target = (
        torch.linalg.cholesky(m.covariance + m.covariance.trace() * trace) for m in (source, target)
    )
    expected = torch.linalg.solve_triangular(of_source, of_target, upper=False, left=False)
    assert torch.equal(MODES["cholesky"](source, target).matrix, expected)


def test_another_luma_leaves_the_chroma_as_it_was():
    images, wanted = picture(0), luma(picture(1))
    changed = with_luma(images, wanted)
    assert torch.allclose(luma(changed), wanted, atol=1e-6)
    assert torch.allclose(changed.diff(dim=1), images.diff(dim=1), atol=1e-6)


def test_matched_luma_has_the_mean_and_deviation_of_the_target_and_no_color():
    matched, target = match_luma(picture(0), picture(1)), luma(picture(1))
    assert torch.allclose(luma(matched).mean(), target.mean(), atol=1e-6)
    assert torch.allclose(luma(matched).std(correction=0), target.std(correction=0), atol=1e-6)
    assert matched.diff(dim=1).abs().max() == 0


def test_flat_luma_stays_flat():
    matched = match_luma(torch.full((1, 3, 4, 4), 0.3), picture(1))
    assert torch.allclose(matched, luma(picture(1)).mean(), atol=1e-6)
