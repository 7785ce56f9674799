"""Content and style distances: Gatys' equations written out, the conversion of his form, distances of Gaussians."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cyclegan.losses.perceptual import (
    ROUNDING,
    FeatureStatistics,
    Gaussian,
    average,
    content_loss,
    content_loss_mean,
    covariance_of,
    feature_statistics,
    gaussian,
    gram_style_loss,
    gram_style_loss_mean,
    mean_form,
    wasserstein_style_loss,
)

seeds = st.integers(0, 10_000)
few = settings(deadline=None, max_examples=20)


def features(seed: int, channels: int = 4, height: int = 5, width: int = 6) -> Tensor:
    """As after a ReLU, float64."""
    noise = torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (noise + 0.3).relu()


def wasserstein(one: Tensor, other: Tensor) -> float:
    return wasserstein_style_loss(feature_statistics(one), gaussian(feature_statistics(other))).item()


def gradient(loss, at: Tensor) -> Tensor:
    leaf = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(leaf), leaf)
    return slope


@few
@given(seed=seeds)
def test_the_content_loss_is_equation_1(seed):
    F, P = features(seed), features(seed + 1)
    written_out = sum((f - p) ** 2 for f, p in zip(F.flatten().tolist(), P.flatten().tolist(), strict=True)) / 2
    assert content_loss(F, P).item() == pytest.approx(written_out)


@few
@given(seed=seeds)
def test_the_style_loss_is_equation_4(seed):
    F, S = features(seed), features(seed + 1)
    N, M = F.shape[1], F.shape[2] * F.shape[3]
    G, A = (torch.einsum("ihw,jhw->ij", f[0], f[0]) for f in (F, S))  # Eq. 3
    expected = (G - A).square().sum().item() / (4 * N**2 * M**2)
    assert gram_style_loss(feature_statistics(F), feature_statistics(S)).item() == pytest.approx(expected)


def test_a_style_loss_computed_by_hand():
    F, S = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]]), torch.zeros(1, 2, 1, 2)  # G = [[10, 2], [2, 4]], N = M = 2
    assert gram_style_loss(feature_statistics(F), feature_statistics(S)).item() == pytest.approx(
        (100 + 4 + 4 + 16) / 64
    )


@few
@given(seed=seeds, alpha=st.floats(1e-3, 1e3), beta=st.floats(1e-3, 1e3))
def test_both_forms_pull_alike_once_their_weights_are_converted(seed, alpha, beta):
    x, P, S = features(seed, 3, 4, 6), features(seed + 1, 3, 4, 6), features(seed + 2, 3, 4, 6)
    alpha_mean, beta_mean = mean_form(alpha, beta, channels=3, positions=24)
    in_sums = gradient(
        lambda F: alpha * content_loss(F, P) + beta * gram_style_loss(feature_statistics(F), feature_statistics(S)), x
    )
    in_means = gradient(
        lambda F: (
            alpha_mean * content_loss_mean(F, P)
            + beta_mean * gram_style_loss_mean(feature_statistics(F), feature_statistics(S))
        ),
        x,
    )
    assert torch.allclose(in_sums, in_means, rtol=1e-9, atol=1e-12 * in_sums.abs().max().item())


@few
@given(seed=seeds)
def test_each_form_is_the_other_times_a_constant(seed):
    x, P = features(seed), features(seed + 1)
    ratio = gradient(lambda F: content_loss(F, P), x) / gradient(lambda F: content_loss_mean(F, P), x)
    assert torch.allclose(ratio[x != P], torch.tensor(4 * 30 / 2, dtype=torch.float64))
    sums, means = (
        gram_style_loss(feature_statistics(x), feature_statistics(P)),
        gram_style_loss_mean(feature_statistics(x), feature_statistics(P)),
    )
    assert (sums / means).item() == pytest.approx(0.25)


def test_the_papers_ratio_at_512_pixels_in_mean_form():
    alpha, beta = mean_form(1e-3, 1.0, channels=512, positions=64 * 64)  # conv4_2
    assert alpha / beta == pytest.approx(4194.304)


def test_the_mean_form_does_not_change_with_the_size_and_the_sum_form_of_the_content_does():
    F, P = features(0), features(1)
    larger_F, larger_P = (f.repeat(1, 1, 2, 2) for f in (F, P))
    assert content_loss_mean(larger_F, larger_P).item() == pytest.approx(content_loss_mean(F, P).item())
    assert content_loss(larger_F, larger_P).item() == pytest.approx(4 * content_loss(F, P).item())
    assert gram_style_loss(feature_statistics(larger_F), feature_statistics(P)).item() == pytest.approx(
        gram_style_loss(feature_statistics(F), feature_statistics(P)).item()
    )


def test_a_texture_forgets_places():
    F = features(0)
    shuffled = F.flatten(2)[:, :, torch.randperm(30, generator=torch.Generator().manual_seed(0))].view_as(F)
    for moment, other in zip(feature_statistics(F), feature_statistics(shuffled), strict=True):
        assert torch.allclose(moment, other)


def test_guidance_that_marks_a_region_gives_the_texture_of_that_region():
    F = features(0, height=4, width=6)
    guidance = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    guidance[..., :2] = 3.0  # a third of the places, mean 1
    for moment, other in zip(feature_statistics(F, guidance), feature_statistics(F[..., :2]), strict=True):
        assert torch.allclose(moment, other)


def test_the_mixture_of_textures_is_that_of_the_pictures_side_by_side():
    one, other = features(0), features(1)
    mixed = average([feature_statistics(one), feature_statistics(other)], [0.5, 0.5])
    for moment, expected in zip(mixed, feature_statistics(torch.cat([one, other], dim=3)), strict=True):
        assert torch.allclose(moment, expected)


@few
@given(seed=seeds, scale=st.floats(0.1, 3))
def test_independent_gaussians_are_as_far_as_their_means_and_deviations(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    (mean, std), (other_mean, other_std) = (torch.rand(2, 1, 5, generator=generator).double() * scale for _ in "ab")
    moments = [
        FeatureStatistics(m, torch.diag_embed(s**2) + m.mT @ m) for m, s in ((mean, std), (other_mean, other_std))
    ]
    expected = ((mean - other_mean) ** 2 + (std - other_std) ** 2).mean().item()
    distance = wasserstein_style_loss(moments[0], gaussian(moments[1])).item()
    assert distance == pytest.approx(expected, rel=0.02, abs=1e-3 * scale**2)  # but for the jitter


@few
@given(seed=seeds)
def test_the_wasserstein_distance_is_a_distance(seed):
    one, other = features(seed), features(seed + 1)
    assert wasserstein(one, one) == pytest.approx(0, abs=1e-12)
    assert wasserstein(one, other) > 1e-4
    assert wasserstein(one, other) == pytest.approx(wasserstein(other, one), rel=0.01)  # the jitter is the target's
    assert wasserstein(3 * one, 3 * other) == pytest.approx(9 * wasserstein(one, other))


def unclamped(style: FeatureStatistics, target: Gaussian) -> Tensor:
    """The formula as written, which rounding may take below 0."""
    covariance = covariance_of(style) + target.jitter * torch.eye(style.gram.shape[-1]).to(style.gram)
    values = torch.linalg.eigvalsh(target.root @ covariance @ target.root)
    overlap = values.maximum(ROUNDING * values[:, -1:].detach()).sqrt().mean()
    spread = (covariance + target.covariance).diagonal(dim1=1, dim2=2).mean() - 2 * overlap
    return (style.mean - target.mean).square().mean() + spread


@few
@given(seed=seeds, change=st.sampled_from([0.0, 1e-6, 1e-4, 1e-2, 1.0]), scale=st.floats(1e-3, 1e3))
def test_the_wasserstein_distance_is_never_negative_and_the_formula_to_the_bit_where_that_is_positive(
    seed, change, scale
):
    """More channels than positions, of very different variance, as in real features."""
    one, other = (features(seed + i, channels=24, height=3, width=4).float() for i in (0, 1))
    uneven = scale * torch.logspace(0, -4, 24)[:, None, None]
    one, other = uneven * one, uneven * (one + change * (other - one))
    target = gaussian(feature_statistics(other))
    found, formula = wasserstein_style_loss(feature_statistics(one), target), unclamped(feature_statistics(one), target)
    assert found >= 0
    assert torch.equal(found, formula) if formula > 0 else found == 0


def test_the_formula_alone_would_be_negative_for_equal_textures_by_more_than_rounding():
    """Why the distance is clamped: eigenvalues that are noise are raised."""
    one = (torch.logspace(0, -4, 24)[:, None, None] * features(0, channels=24, height=3, width=4)).float()
    assert unclamped(feature_statistics(one), gaussian(feature_statistics(one))) < -1e-6
    assert wasserstein_style_loss(feature_statistics(one), gaussian(feature_statistics(one))) == 0


def test_turning_the_channels_together_changes_no_wasserstein_distance():
    one, other = features(0), features(1)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    turned = [torch.einsum("dc,nchw->ndhw", turn, f) for f in (one, other)]
    assert wasserstein(*turned) == pytest.approx(wasserstein(one, other))


def test_the_wasserstein_distance_of_moved_features_is_the_way():
    one = features(0)
    way = torch.tensor([1.0, -2.0, 0.0, 0.5], dtype=torch.float64).view(1, 4, 1, 1)
    assert wasserstein(one + way, one) == pytest.approx(way.square().mean().item(), rel=1e-6)


def test_its_slope_is_that_of_finite_differences():
    target = gaussian(feature_statistics(features(1, 3, 2, 3)))
    x = features(0, 3, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda F: wasserstein_style_loss(feature_statistics(F), target), x)


@pytest.mark.parametrize("image", [torch.zeros(1, 8, 2, 2), torch.ones(1, 8, 2, 2), features(0, 8, 2, 2).float()])
@pytest.mark.parametrize("style", [torch.zeros(1, 8, 2, 2), torch.ones(1, 8, 2, 2), features(1, 8, 2, 2).float()])
def test_flat_and_rank_deficient_features_have_finite_slopes(image, style):
    target = gaussian(feature_statistics(style))
    slope = gradient(lambda F: wasserstein_style_loss(feature_statistics(F), target), image)
    assert slope.isfinite().all()
    assert math.isfinite(wasserstein_style_loss(feature_statistics(image), target).item())


@pytest.mark.parametrize("distance", [content_loss, content_loss_mean])
def test_equal_features_have_no_content_loss(distance):
    assert distance(features(0), features(0)).item() == 0
