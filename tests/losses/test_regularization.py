"""Penalties on the slope of the mean score, against analysis and finite differences; total variation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cyclegan.losses.regularization import gradient_penalty, interpolate, r1_penalty, total_variation

STEP = 1e-6


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.fixture
def curved() -> nn.Module:
    """A discriminator with a grid of 2×2 scores and second derivatives everywhere."""
    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 4, 3), nn.Tanh(), nn.InstanceNorm2d(4), nn.Softplus(), nn.Conv2d(4, 1, 3))
    return nn.Sequential(*layers).double()


def linear(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """A discriminator with these slopes and one score for each image."""
    return lambda images: (images * weights).sum(dim=(1, 2, 3)).reshape(-1, 1, 1, 1)


def test_a_linear_discriminator_costs_half_its_squared_weights_everywhere(images):
    weights = torch.randn(3, 6, 6, dtype=torch.float64)
    assert r1_penalty(linear(weights), images).item() == pytest.approx(0.5 * weights.square().sum().item())


def test_a_grid_of_scores_counts_as_its_mean(images):
    weights = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    grid = r1_penalty(lambda y: torch.einsum("nchw,kchw->nk", y, weights).reshape(2, 1, 2, 2), images)
    assert grid.item() == pytest.approx(0.5 * weights.mean(dim=0).square().sum().item())


def test_a_batch_counts_as_the_mean_of_its_images(curved):
    images = [torch.randn(1, 3, 6, 6, dtype=torch.float64).requires_grad_() for _ in range(3)]
    alone = [r1_penalty(curved, image).item() for image in images]
    batch = torch.cat(images).detach().requires_grad_()
    assert r1_penalty(curved, batch).item() == pytest.approx(sum(alone) / 3)


def test_the_slope_is_that_of_finite_differences(curved, images):
    slope = torch.zeros_like(images)
    with torch.no_grad():
        for pixel in range(images[0].numel()):
            step = torch.zeros_like(images).flatten(1)
            step[:, pixel] = STEP
            rise = curved(images + step.view_as(images)) - curved(images - step.view_as(images))
            slope.view(2, -1)[:, pixel] = rise.mean(dim=(1, 2, 3)) / (2 * STEP)
    expected = 0.5 * slope.square().sum(dim=(1, 2, 3)).mean().item()
    assert r1_penalty(curved, images).item() == pytest.approx(expected, rel=1e-6)


def test_its_gradient_reaches_the_weights_and_is_that_of_finite_differences(curved, images):
    weight = curved[0].weight
    (gradient,) = torch.autograd.grad(r1_penalty(curved, images), weight)

    def moved(by: float) -> float:
        with torch.no_grad():
            weight[1, 2, 0, 1] += by
        penalty = r1_penalty(curved, images).item()
        with torch.no_grad():
            weight[1, 2, 0, 1] -= by
        return penalty

    expected = (moved(STEP) - moved(-STEP)) / (2 * STEP)
    assert gradient[1, 2, 0, 1].item() == pytest.approx(expected, rel=1e-5)
    assert abs(expected) > 1e-4


def test_it_leaves_no_gradient_behind(curved, images):
    r1_penalty(curved, images)
    assert images.grad is None
    assert all(parameter.grad is None for parameter in curved.parameters())


@pytest.mark.parametrize("penalty", [r1_penalty, gradient_penalty])
def test_a_penalty_is_computed_in_float32_also_under_autocast(curved, images, penalty):
    D, y = curved.float(), images.float()

    def found() -> list[Tensor]:
        value = penalty(D, y)
        return [value, *torch.autograd.grad(value, [D[0].weight, D[4].weight])]

    with torch.autocast("cpu", torch.bfloat16):
        assert D(y).dtype == torch.bfloat16
        mixed = found()
    for tensor, expected in zip(mixed, found(), strict=True):
        assert torch.equal(tensor, expected)


@pytest.mark.parametrize(("length", "penalty"), [(1.0, 0.0), (0.0, 1.0), (3.0, 4.0)])
def test_the_gradient_penalty_of_a_linear_critic_is_the_squared_distance_of_its_length_from_one(
    images, length, penalty
):
    weights = torch.randn(3, 6, 6, dtype=torch.float64)
    assert gradient_penalty(linear(weights * (length / weights.norm())), images).item() == pytest.approx(
        penalty, abs=1e-7
    )


def test_slopes_are_compared_with_one_image_by_image(images):
    weights = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1) / images[0].numel() ** 0.5
    assert gradient_penalty(linear(weights), images).item() == pytest.approx(1)  # their mean has length 1


def test_descent_on_the_gradient_penalty_shortens_long_slopes_and_lengthens_short_ones(images):
    for length in (0.5, 2.0):
        scale = torch.tensor(length, dtype=torch.float64, requires_grad=True)
        penalty = gradient_penalty(linear(scale / images[0].numel() ** 0.5), images)
        (slope,) = torch.autograd.grad(penalty, scale)
        assert slope.item() == pytest.approx(2 * (length - 1))


def test_a_critic_without_slope_still_has_a_gradient_that_is_finite(images):
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(gradient_penalty(linear(scale), images), scale)[0].isfinite()


def test_between_lies_on_the_line_of_each_pair_at_a_place_of_its_own():
    torch.manual_seed(0)
    real, fake = torch.full((50, 3, 2, 2), 0.5), torch.full((50, 3, 2, 2), -0.5)
    places = interpolate(real, fake).flatten(1)
    assert (places == places[:, :1]).all()
    assert -0.5 <= places.min() < -0.4
    assert 0.4 < places.max() <= 0.5
    assert len(places[:, 0].unique()) == 50
    real, fake = torch.rand(2, 3, 2, 2), torch.rand(2, 3, 2, 2)
    share = (interpolate(real, fake) - fake) / (real - fake)
    assert torch.allclose(share, share[:, :1, :1, :1].expand_as(share), atol=1e-4)


def test_flat_images_have_no_total_variation():
    assert total_variation(torch.full((2, 3, 4, 5), 0.7)).item() == 0


def test_the_total_variation_of_a_ramp_is_its_squared_steps():
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)  # 4 of 5 columns have a neighbor to the right, one step away
    assert total_variation(ramp).item() == pytest.approx(4 / 5)
    assert total_variation(2 * ramp.mT).item() == pytest.approx(4 * 4 / 5)


def test_the_total_variation_of_a_dot_is_that_of_its_four_edges():
    image = torch.zeros(1, 3, 5, 5)
    image[0, 1, 2, 2] = 1
    assert total_variation(image).item() == pytest.approx(4 / 75)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (6, 1)])
def test_the_smallest_images_have_a_total_variation(height, width):
    assert total_variation(torch.ones(1, 3, height, width)).item() == 0
