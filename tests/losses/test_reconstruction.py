"""The distance of an image to its reconstruction: the mean of |difference|."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.losses.reconstruction import reconstruction


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
