"""The games: where each loss is zero, values by hand, and where descent leads."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cyclegan.losses.adversarial import (
    GAN_LOSSES,
    hinge_discriminator,
    logistic_discriminator,
    lsgan_discriminator,
    lsgan_generator,
    minimax_generator,
    nonsaturating_generator,
    wgan_discriminator,
    wgan_generator,
)


def scores(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


def test_the_generators_loss_is_zero_when_every_patch_of_a_fake_passes_for_real():
    assert lsgan_generator(torch.ones(2, 1, 3, 3)) == 0


def test_the_discriminators_loss_is_zero_when_every_patch_is_told_apart():
    assert lsgan_discriminator(torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)) == 0


def test_the_generators_loss_by_hand():
    assert lsgan_generator(scores(0, 0.5, 2)).item() == pytest.approx((1 + 0.25 + 1) / 3)


def test_the_discriminators_loss_by_hand():
    assert lsgan_discriminator(scores(1, 3), scores(1, -1, 2)).item() == pytest.approx((0 + 4) / 2 + (1 + 1 + 4) / 3)


def test_a_discriminator_that_always_says_one_half_loses_one_half():
    undecided = torch.full((2, 1, 3, 3), 0.5)
    assert lsgan_discriminator(undecided, undecided) == 0.5
    assert lsgan_generator(undecided) == 0.25


def test_patches_are_squared_before_they_are_averaged():
    assert lsgan_generator(scores(0, 2)) == 1  # their mean passes for real, neither of them does


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6))
def test_descent_pulls_fakes_to_one_for_the_generator_and_to_zero_for_the_discriminator(values):
    fake = scores(*values).requires_grad_()
    (slope,) = torch.autograd.grad(lsgan_generator(fake), fake)
    assert torch.allclose(slope, 2 * (fake - 1) / len(values))
    (slope,) = torch.autograd.grad(lsgan_discriminator(scores(0.0), fake), fake)
    assert torch.allclose(slope, 2 * fake / len(values))


def test_a_hinge_is_zero_beyond_its_margins_and_by_hand():
    assert hinge_discriminator(scores(1, 7), scores(-1, -3)) == 0
    assert hinge_discriminator(scores(0.5, 2), scores(-2, 1)).item() == pytest.approx((0.5 + 0) / 2 + (0 + 2) / 2)


def test_a_critics_loss_is_the_difference_of_its_means_and_no_level_counts():
    real, fake = scores(3, 1), scores(-1, 2)
    assert wgan_discriminator(real, fake) == wgan_discriminator(real + 5, fake + 5) == -1.5
    assert wgan_generator(fake) == -0.5
    assert wgan_discriminator(real, real) == 0


def test_binary_cross_entropy_by_hand_and_at_its_zero():
    three = math.log(3)  # σ(log 3) = 3/4
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2 - math.log(1 / 2)
    assert logistic_discriminator(scores(three, -three), scores(0)).item() == pytest.approx(expected)
    assert logistic_discriminator(scores(200), scores(-200)) == 0
    assert nonsaturating_generator(scores(three)).item() == pytest.approx(-math.log(3 / 4))
    assert nonsaturating_generator(scores(200)) == 0
    assert minimax_generator(scores(three)).item() == pytest.approx(math.log(1 / 4))
    assert minimax_generator(scores(-200)) == 0


def test_scores_far_out_neither_overflow_nor_vanish():
    assert logistic_discriminator(scores(-1e4), scores(1e4)).item() == 2e4
    assert nonsaturating_generator(scores(-1e4)).item() == 1e4


def test_minimax_is_flat_where_the_discriminator_is_sure_of_its_fakes_and_nonsaturating_is_steep():
    for loss, slope in ((minimax_generator, 0.0), (nonsaturating_generator, -1.0)):
        fake = scores(-30).requires_grad_()
        assert torch.autograd.grad(loss(fake), fake)[0].item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("game", GAN_LOSSES.values(), ids=GAN_LOSSES)
@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.floats(-0.75, 0.75, width=32), min_size=1, max_size=6))
def test_in_every_game_the_generator_lifts_its_fakes_and_the_discriminator_sinks_them_and_lifts_the_reals(game, values):
    fake, real = scores(*values).requires_grad_(), scores(*values).requires_grad_()
    assert (torch.autograd.grad(game.generator(fake), fake)[0] < 0).all()
    loss = game.discriminator(real, fake + 1)  # above 0, where LSGAN wants it
    of_real, of_fake = torch.autograd.grad(loss, (real, fake))
    assert (of_real < 0).all()
    assert (of_fake > 0).all()


@pytest.mark.parametrize("name", [name for name, game in GAN_LOSSES.items() if game.probability_real])
def test_realness_rises_from_fake_to_real_and_is_one_half_where_neither_side_wins(name):
    undecided = scores(0.5 if name == "lsgan" else 0.0)
    found = [float(GAN_LOSSES[name].probability_real(undecided + step)) for step in (-0.4, 0, 0.4)]
    assert found[1] == 0.5
    assert 0 < found[0] < found[1] < found[2] < 1
