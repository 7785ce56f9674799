"""The painters: what a generator must be able to learn of them, and each step by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.data import painting

PAINTERS = [painting.paint, painting.palette, painting.tint]


def picture(height: int = 48, width: int = 56, seed: int = 0) -> np.ndarray:
    """Smooth regions, edges and texture, so that every step has something to do."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((height // 8 + 1, width // 8 + 1, 3)), np.ones((8, 8, 1)))[:height, :width]
    return (coarse + rng.normal(0, 0.05, coarse.shape)).clip(0, 1)


@pytest.mark.parametrize("painter", PAINTERS)
@given(seed=st.integers(0, 100))
def test_a_painting_stays_in_range_and_is_the_same_every_time(painter, seed):
    image = picture(16, 24, seed)
    painted = painter(image)
    assert painted.shape == image.shape
    assert painted.dtype == np.float64
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert np.array_equal(painted, painter(image))


@pytest.mark.parametrize("painter", PAINTERS)
@pytest.mark.parametrize(("down", "right"), [(0, 1), (3, 5), (7, 2)])
def test_shifting_the_photograph_shifts_the_painting(painter, down, right):
    image = picture()
    shifted = painter(image[down:, right:])
    inside = np.s_[12:-12, 12:-12]  # as far as the reflection at the borders is seen
    assert np.allclose(shifted[inside], painter(image)[down:, right:][inside], atol=1e-12)


@pytest.mark.parametrize(("painter", "reach"), [(painting.paint, 12), (painting.palette, 5), (painting.tint, 0)])
def test_a_pixel_is_felt_as_far_as_documented_and_no_farther(painter, reach):
    image, felt = picture(49, 49), np.zeros((49, 49), dtype=bool)
    for color in np.random.default_rng(1).random((10, 3)):
        changed = image.copy()
        changed[24, 24] = color
        felt |= (painter(changed) != painter(image)).any(axis=-1)
    assert np.abs(np.argwhere(felt) - 24).max() == reach


def test_painting_is_no_function_of_the_color_alone():
    calm, busy = np.full((40, 40, 3), 0.5), np.full((40, 40, 3), 0.5)
    busy[:, 24:] = 0.9
    assert np.abs(painting.paint(calm)[20, 20] - painting.paint(busy)[20, 20]).max() > 0.1


def test_kuwahara_keeps_edges_sharp_and_removes_specks():
    image = np.zeros((20, 20, 3))
    image[:, 10:] = 1.0
    assert np.array_equal(painting.kuwahara(image), image)
    image[5, 5] = 0.3
    assert painting.kuwahara(image)[5, 5].max() < 0.02


def test_kuwahara_windows_have_the_pixel_at_a_corner():
    image = np.random.default_rng(2).random((9, 9, 3))
    y, x, r = 4, 4, painting.RADIUS
    windows = [image[a : a + r + 1, b : b + r + 1] for a in (y - r, y) for b in (x - r, x)]
    calmest = min(windows, key=lambda window: painting.luma(window).var())
    assert np.allclose(painting.kuwahara(image)[y, x], calmest.mean(axis=(0, 1)))


def test_posterizing_has_six_steps_and_their_middles_stay():
    middles = (np.arange(6) + 0.5) / 6
    assert np.allclose(painting.posterize(middles), middles)
    assert np.allclose(painting.posterize(np.array([1 / 6 + 1e-9])), 1 / 6, atol=1e-3)
    assert (np.diff(painting.posterize(np.linspace(0, 1, 2000))) > -1e-3).all()


def test_shading_cools_black_and_warms_white():
    flat = np.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    shaded = painting.shade(flat, np.array([[0.0, 1.0]]))
    assert np.allclose(shaded, [[[0.0, 0.0, 0.14], [1.0, 1.0, 0.90]]])


def test_ink_covers_edges_only():
    image = np.zeros((30, 30, 3))
    image[:, 15:] = 1.0
    inked = painting.ink(image, image, strength=0.75)
    assert np.array_equal(inked[:, :9], image[:, :9])
    assert np.allclose(inked[15, 15], 0.25 + 0.75 * painting.INK, atol=0.03)


def test_hue_of_a_calm_place_and_of_a_busy_one():
    grey = np.full((40, 40, 3), 0.5)
    busy = grey + 0.4 * (np.indices((40, 40)).sum(axis=0) % 2 * 2 - 1)[..., None]  # a chessboard: s = .4
    assert np.allclose(painting.hue_by_contrast(grey, grey)[20, 20], 0.5 + painting.CALM)
    assert np.allclose(painting.hue_by_contrast(grey, busy)[20, 20], 0.5 + painting.BUSY)


def test_tint_is_undone_by_tinting_with_red_and_blue_exchanged():
    image = picture()
    assert np.allclose(painting.tint(painting.tint(image)[..., ::-1])[..., ::-1], image)
