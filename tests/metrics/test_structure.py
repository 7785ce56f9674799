"""What is kept of a source: against independent formulas, and in cases whose answer is known."""

import numpy as np
import pytest
from scipy.signal import convolve2d
from scipy.stats import spearmanr
from skimage import data
from skimage.metrics import structural_similarity

from cyclegan.functional.similarity import SCALES
from cyclegan.metrics.structure import edge_f1, luma_correlation, ms_ssim, scales_for, to_luma

PHOTO = data.astronaut()[:200, 100:330]


def noisy(picture: np.ndarray, levels: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, levels, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def ms_ssim_by_convolution(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2003 written a second time: a 2-D window, `valid` convolutions."""
    axis = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        return convolve2d(values, window, mode="valid")

    product = 1.0
    for scale, weight in enumerate(SCALES):
        mx, my = mean(x), mean(y)
        vx, vy, cxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        term = (2 * cxy + c2) / (vx + vy + c2)
        if scale == len(SCALES) - 1:
            term = term * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        product *= term.mean() ** weight
        x, y = (v[: len(v) // 2 * 2, : v.shape[1] // 2 * 2] for v in (x, y))
        x, y = ((v[::2, ::2] + v[1::2, ::2] + v[::2, 1::2] + v[1::2, 1::2]) / 4 for v in (x, y))
    return product


def test_ms_ssim_is_that_of_the_formula():
    other = noisy(PHOTO, 25)
    expected = ms_ssim_by_convolution(to_luma(PHOTO), to_luma(other))
    assert ms_ssim(other, PHOTO) == pytest.approx(expected, rel=1e-9)


def test_with_one_scale_it_is_ssim():
    other = noisy(PHOTO, 25)
    options = dict(data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    expected = structural_similarity(to_luma(PHOTO), to_luma(other), **options)
    assert ms_ssim(other, PHOTO, scales=1) == pytest.approx(expected, rel=1e-6)


def test_small_pictures_have_room_for_fewer_scales():
    assert [scales_for(np.zeros((side, 300, 3), np.uint8)) for side in (8, 21, 22, 64, 88, 175, 176)] == [
        1,
        1,
        2,
        3,
        4,
        4,
        5,
    ]
    assert ms_ssim(PHOTO[:64, :64], PHOTO[:64, :64]) == pytest.approx(1)


def test_an_inverted_picture_keeps_no_structure_and_all_edges():
    assert ms_ssim(255 - PHOTO, PHOTO) == 0
    assert edge_f1(255 - PHOTO, PHOTO) == 1
    assert luma_correlation(255 - PHOTO, PHOTO) == pytest.approx(-1)


def test_equal_pictures_keep_everything():
    assert ms_ssim(PHOTO, PHOTO) == pytest.approx(1)
    assert edge_f1(PHOTO, PHOTO) == 1
    assert luma_correlation(PHOTO, PHOTO) == pytest.approx(1)


def test_luma_correlation_is_spearmans_and_blind_to_any_rising_curve():
    other = noisy(PHOTO, 40)
    expected = spearmanr(to_luma(PHOTO).ravel(), to_luma(other).ravel()).statistic
    assert luma_correlation(other, PHOTO) == pytest.approx(expected, rel=1e-9)
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    curved = np.round(255 * (grey / 255.0) ** 0.5).astype(np.uint8)
    assert luma_correlation(curved, grey) > 0.999


def test_a_flat_picture_correlates_with_nothing_and_has_no_edges():
    flat = np.full_like(PHOTO, 90)
    assert luma_correlation(flat, PHOTO) == 0
    assert edge_f1(flat, flat) == 1
    assert edge_f1(flat, PHOTO) == 0


def test_edges_may_move_by_one_pixel_and_not_by_more():
    scores = [edge_f1(np.roll(PHOTO, shift, axis=1)[:, 8:-8], PHOTO[:, 8:-8]) for shift in (0, 1, 4)]
    assert scores[0] == 1
    assert scores[1] > 0.95
    assert scores[2] < 0.6


def test_edge_f1_counts_missing_edges_and_new_ones():
    square, two = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    square[10:25, 10:25] = two[10:25, 10:25] = 255
    two[40:55, 40:55] = 255
    assert edge_f1(two, square) == pytest.approx(2 / 3, abs=0.02)  # precision 1/2, recall 1
    assert edge_f1(square, two) == pytest.approx(2 / 3, abs=0.02)
