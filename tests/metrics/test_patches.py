"""Patch-SWD against W₁ computed by SciPy, and what a distance between sets of pictures has to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance
from skimage import data

from cyclegan.errors import UserError
from cyclegan.metrics.patches import SMALLEST, patch_swd, project, swd, swd_interval


def cuts(picture: np.ndarray, count: int, seed: int, side: int = 48) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    corners = [[random.integers(size - side) for size in picture.shape[:2]] for _ in range(count)]
    return [picture[y : y + side, x : x + side, :3] for y, x in corners]


@pytest.fixture(scope="module")
def one() -> list[np.ndarray]:
    return cuts(data.astronaut(), 10, 0)


@pytest.fixture(scope="module")
def other() -> list[np.ndarray]:
    return cuts(data.coffee(), 12, 1)


def test_it_is_the_mean_of_w1_over_levels_and_directions(one, other):
    x, y = project(one), project(other[:10])
    expected = [
        wasserstein_distance(a, b)
        for values in zip(x.values, y.values, strict=True)
        for a, b in zip(*values, strict=True)
    ]
    assert swd(x, y) == pytest.approx(np.mean(expected), rel=1e-6)


def test_sets_of_different_numbers_are_compared_at_quantiles(one, other):
    x, y = project(one), project(other)
    expected = [
        wasserstein_distance(a, b)
        for values in zip(x.values, y.values, strict=True)
        for a, b in zip(*values, strict=True)
    ]
    assert swd(x, y) == pytest.approx(np.mean(expected), rel=0.02)


def test_a_set_is_at_distance_zero_from_itself_whatever_its_order(one, other):
    assert patch_swd(one, one) == 0
    assert patch_swd(one, one[::-1]) == 0
    assert patch_swd(one, other) == pytest.approx(patch_swd(other, one))


@given(st.integers(1, 60))
@settings(max_examples=8, deadline=None)
def test_a_shift_of_brightness_is_felt_in_proportion_by_the_coarsest_level_only(shift):
    """Details do not change with brightness; W₁ of a constant shift is the mean length of its projection."""
    dark = [np.full((32, 32, 3), 90, np.uint8)] * 4
    light = [np.full((32, 32, 3), 90 + shift, np.uint8)] * 4
    assert patch_swd(dark, light) == pytest.approx(shift * patch_swd(dark, [p + 1 for p in dark]), rel=1e-4)


def test_it_grows_with_blur_and_with_strange_pictures_mixed_in(one, other):
    blurred = [[gaussian_filter(p, (s, s, 0)) for p in one] for s in (0, 0.5, 1, 2)]
    mixed = [[*other[:count], *one[count:]] for count in (0, 3, 6, 9)]
    for series in (blurred, mixed):
        distances = [patch_swd(pictures, one) for pictures in series]
        assert distances == sorted(set(distances))  # strictly


def test_the_interval_holds_the_distance_and_narrows(one, other):
    few = swd_interval(project(one), project(other))
    many = swd_interval(project(cuts(data.astronaut(), 60, 0)), project(cuts(data.coffee(), 60, 1)))
    for found in (few, many):
        assert 0 <= found.low <= found.mean <= found.high
    assert many.high - many.low < few.high - few.low


def test_two_halves_of_one_set_are_nearer_than_another_set(one, other):
    halves = patch_swd(cuts(data.astronaut(), 30, 5), cuts(data.astronaut(), 30, 6))
    assert halves < 0.5 * patch_swd(cuts(data.astronaut(), 30, 5), cuts(data.coffee(), 30, 6))


def test_the_smallest_picture_has_room_for_a_patch_on_every_level():
    picture = np.random.default_rng(0).integers(0, 256, (SMALLEST, SMALLEST, 3), dtype=np.uint8)
    assert patch_swd([picture], [picture]) == 0


def test_images_too_small_for_the_patches_are_refused_with_their_size():
    small = np.zeros((40, 27, 3), np.uint8)
    with pytest.raises(UserError, match="a side of 27 pixels, of which it needs 28; take larger images"):
        patch_swd([small], [small])
