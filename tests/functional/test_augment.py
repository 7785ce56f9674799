"""DiffAugment: what each augmentation does to an image, by given draws, and that gradients pass through."""

import pytest
import torch
from torch import Tensor

from cyclegan.functional.augment import AUGMENTATIONS, augment, color, cutout, translation

NOTHING = {"color": (0.5, 0.5, 0.5), "translation": (0.5, 0.5, 0.0)}  # draws that leave an image as it is


def images(count: int = 2, height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def same_for_all(count: int, *draws: float) -> Tensor:
    return torch.tensor(draws).expand(count, 3)


@pytest.mark.parametrize("kind", NOTHING)
def test_draws_from_the_middle_leave_images_as_they_are(kind):
    assert torch.allclose(AUGMENTATIONS[kind](images(), same_for_all(2, *NOTHING[kind])), images(), atol=1e-6)


def test_brightness_moves_all_levels_by_up_to_one_half():
    for draw, moved in ((0.0, -0.5), (0.75, 0.25)):
        assert torch.allclose(color(images(), same_for_all(2, draw, 0.5, 0.5)), images() + moved, atol=1e-6)


def test_without_saturation_there_is_only_grey_and_the_means_stay():
    grey = color(images(), same_for_all(2, 0.5, 0.0, 0.5))
    assert torch.allclose(grey, images().mean(dim=1, keepdim=True).expand_as(grey), atol=1e-6)


def test_contrast_scales_what_differs_from_the_mean_of_the_image_by_half_to_three_halves():
    levels = images().mean(dim=(1, 2, 3), keepdim=True)
    for draw, factor in ((0.0, 0.5), (1.0, 1.5)):
        found = color(images(), same_for_all(2, 0.5, 0.5, draw))
        assert torch.allclose(found - levels, factor * (images() - levels), atol=1e-6)


def test_translation_moves_by_up_to_an_eighth_of_each_side_and_zeros_come_in():
    moved = translation(images(), same_for_all(2, 0.0, 0.999, 0))  # two rows down, three columns to the left
    assert torch.equal(moved[:, :, 2:, :-3], images()[:, :, :-2, 3:])
    assert not moved[:, :, :2].any()
    assert not moved[:, :, :, -3:].any()


def test_every_translation_is_as_likely_as_any_other():
    dot = torch.zeros(1, 3, 16, 16)
    dot[:, :, 8, 8] = 1
    draws = torch.cartesian_prod(*3 * [(torch.arange(5) + 0.5) / 5])[::5]
    found = translation(dot.expand(len(draws), -1, -1, -1), draws)[:, 0].sum(dim=0)
    assert torch.equal(found[6:11, 6:11], torch.ones(5, 5))
    assert found.sum() == 25


def test_cutout_makes_a_square_of_half_the_sides_zero():
    white = torch.ones(1, 3, 16, 24)
    hole = 1 - cutout(white, torch.tensor([[0.5, 0.5, 0.0]]))
    assert hole[:, :, 4:12, 6:18].all()
    assert hole.sum() == 3 * 8 * 12


@pytest.mark.parametrize("draw", [0.0, 0.9999])
def test_the_middle_of_the_hole_reaches_both_ends(draw):
    hole = 1 - cutout(torch.ones(1, 3, 16, 16), torch.tensor([[draw, 0.5, 0.0]]))
    rows = hole[0, 0].any(dim=1).nonzero().flatten().tolist()
    assert rows == (list(range(4)) if draw == 0 else list(range(12, 16)))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_each_image_is_changed_by_its_own_draws_alone(kind):
    draws = torch.rand(3, 3, generator=torch.Generator().manual_seed(1))
    together = AUGMENTATIONS[kind](images(3), draws)
    alone = [AUGMENTATIONS[kind](image, draw) for image, draw in zip(images(3).split(1), draws.split(1), strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
    assert not torch.equal(together, images(3))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_the_gradient_is_that_of_finite_differences_twice(kind):
    small, draws = images(2, 8, 8).double(), torch.rand(2, 3, generator=torch.Generator().manual_seed(2))
    small.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: AUGMENTATIONS[kind](x, draws)[:, :, ::3, ::3], small)
    assert torch.autograd.gradgradcheck(lambda x: AUGMENTATIONS[kind](x, draws)[:, :, ::3, ::3].square(), small)


def test_the_names_are_applied_in_their_order_and_drawn_from_the_seeded_generator():
    torch.manual_seed(3)
    expected = cutout(color(images(), torch.rand(2, 3)), torch.rand(2, 3))
    torch.manual_seed(3)
    assert torch.equal(augment(images(), ["color", "cutout"]), expected)


def test_without_names_nothing_is_done_and_nothing_drawn():
    state, given = torch.get_rng_state(), images()
    assert augment(given, []) is given
    assert torch.equal(torch.get_rng_state(), state)
