"""The distances of an image to its reconstruction: the mean of |difference|, and its mix with MS-SSIM."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.losses.reconstruction import reconstruction, structural_reconstruction


def test_an_image_is_at_no_distance_from_itself():
    image = torch.rand(2, 3, 4, 5)
    assert reconstruction(image, image) == 0


def test_by_hand():
    image = torch.zeros(1, 3, 1, 2)
    target = torch.tensor([0.5, -1.0, 0.0, 0.0, 1.5, 0.0]).reshape(1, 3, 1, 2)
    assert reconstruction(image, target) == (0.5 + 1 + 1.5) / 6


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_black_and_white_are_two_apart_at_every_size(count, height, width):
    white = torch.ones(count, 3, height, width)
    assert reconstruction(white, -white) == 2


def test_a_difference_counts_in_proportion_and_either_way():
    image, step = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    once = reconstruction(image + step, image).item()
    assert once == pytest.approx(step.mean().item())
    assert reconstruction(image - 3 * step, image).item() == pytest.approx(3 * once, rel=1e-5)


def test_an_image_shares_all_structure_with_itself():
    image = torch.rand(2, 3, 24, 32) * 2 - 1
    assert structural_reconstruction(image, image).item() == pytest.approx(0, abs=1e-6)


def test_the_mix_by_hand_of_flat_images_which_differ_in_brightness_alone():
    image, target = torch.full((1, 3, 11, 11), 0.6), torch.full((1, 3, 11, 11), -0.2)  # 0.8 and 0.4 of 0…1
    similarity = (2 * 0.8 * 0.4 + 1e-4) / (0.8**2 + 0.4**2 + 1e-4)
    expected = 0.84 * (1 - similarity) + 0.16 * 0.4
    assert structural_reconstruction(image, target).item() == pytest.approx(expected, rel=1e-4)


def test_black_and_white_are_as_far_apart_as_can_be():
    white = torch.ones(1, 3, 16, 16)
    assert structural_reconstruction(white, -white).item() == pytest.approx(1, abs=1e-3)


def test_descent_on_the_mix_leads_to_the_target():
    torch.manual_seed(0)
    target = torch.rand(1, 3, 22, 22) * 2 - 1
    image = (target + 0.3 * torch.randn_like(target)).requires_grad_()
    before = structural_reconstruction(image, target)
    (slope,) = torch.autograd.grad(before, image)
    assert (slope * (image - target)).sum() > 0
    assert structural_reconstruction(image - slope / slope.abs().max() * 0.05, target) < before


def test_the_mix_is_in_float32_under_autocast():
    image = torch.rand(1, 3, 22, 22)
    expected = structural_reconstruction(image, image.flip(3))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(structural_reconstruction(image, image.flip(3)), expected)
