"""PSNR, SSIM, L1 and RMSE against values computed by hand."""

import numpy as np
import pytest

from cyclegan.metrics.fidelity import l1, psnr, rmse, ssim


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def flat(level: int) -> np.ndarray:
    return np.full((16, 16, 3), level, dtype=np.uint8)


@pytest.mark.parametrize(("difference", "decibels"), [(1, 48.1308), (10, 28.1308), (255, 0.0)])
def test_psnr_of_a_constant_difference(difference, decibels):
    assert psnr(flat(difference), flat(0)) == pytest.approx(decibels, abs=1e-4)
    assert psnr(flat(0), flat(difference)) == pytest.approx(decibels, abs=1e-4)


def test_psnr_takes_the_mean_of_the_error_over_channels_and_not_of_decibels():
    picture = flat(0)
    picture[..., 1] = 30
    assert psnr(picture, flat(0)) == pytest.approx(10 * np.log10(255**2 / 300))


def test_psnr_of_equal_pictures_is_that_of_rounding():
    assert psnr(noise(), noise()) == pytest.approx(58.92, abs=0.01)


def test_ssim_is_one_for_equal_pictures_and_near_zero_for_unrelated_ones():
    assert ssim(noise(), noise()) == 1
    assert abs(ssim(noise(0), noise(1))) < 0.1


def test_ssim_of_flat_pictures_is_its_luminance_term():
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 140 + c1) / (100**2 + 140**2 + c1)
    assert ssim(flat(100), flat(140)) == pytest.approx(expected)


def test_ssim_at_a_pixel_is_the_published_formula():
    # A picture of 11×11 has one whole window, so the score is that of its middle.
    picture, truth = noise(0)[:11, :11], noise(1)[:11, :11] // 2
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps)[..., None] / taps.sum() ** 2
    mean_a, mean_b = (window * picture).sum(axis=(0, 1)), (window * truth).sum(axis=(0, 1))
    var_a, var_b = ((window * (x - m) ** 2).sum(axis=(0, 1)) for x, m in ((picture, mean_a), (truth, mean_b)))
    cov = (window * (picture - mean_a) * (truth - mean_b)).sum(axis=(0, 1))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    assert ssim(picture, truth) == pytest.approx(expected.mean(), rel=1e-6)


def test_l1_and_rmse_are_on_values_scaled_to_one():
    assert l1(flat(51), flat(0)) == pytest.approx(0.2)
    assert rmse(flat(0), flat(51)) == pytest.approx(0.2)
    assert l1(noise(), noise()) == rmse(noise(), noise()) == 0


def test_rmse_weighs_large_errors_more_than_l1_does():
    picture = flat(0)
    picture[..., 1] = 255
    assert l1(picture, flat(0)) == pytest.approx(1 / 3)
    assert rmse(picture, flat(0)) == pytest.approx(1 / np.sqrt(3))
