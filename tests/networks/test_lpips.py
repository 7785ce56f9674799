"""LPIPS as a network: frozen, and differentiable in its images."""

import os

import pytest
import torch

from cyclegan.networks.lpips import Lpips

pytestmark = pytest.mark.skipif("CYCLEGAN_WEIGHTS" not in os.environ, reason="CYCLEGAN_WEIGHTS names no folder")


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return Lpips()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_each_pair_is_compared_by_itself_and_equals_are_at_distance_zero(lpips, images):
    found = lpips(images, images.flip(0))
    assert found.shape == (2,)
    assert found[0].item() == pytest.approx(found[1].item(), rel=1e-4)
    assert found[0].item() == pytest.approx(lpips(images[:1], images[1:]).item(), rel=1e-4)
    assert lpips(images, images).tolist() == [0, 0]


def test_descent_brings_an_image_nearer_and_finds_nothing_to_learn_in_the_network(lpips, images):
    image, target = images[:1].clone().requires_grad_(), images[1:]
    distance = lpips(image, target)
    (slope,) = torch.autograd.grad(distance.sum(), image)
    assert lpips(image - 0.02 * slope / slope.abs().max(), target) < distance
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_flat_images_whose_features_vanish_have_a_finite_gradient(lpips):
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(lpips(image, torch.ones(1, 3, 32, 32)).sum(), image)
    assert slope.isfinite().all()


def test_it_computes_in_float32_also_under_autocast(lpips, images):
    expected = lpips(images, images.flip(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lpips(images, images.flip(0)), expected)
