"""The least-squares adversarial loss: where it is zero, and values by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cyclegan.losses.adversarial import lsgan_discriminator, lsgan_generator


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
