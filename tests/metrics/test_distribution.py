"""FID, KID, precision and recall against formulas of their own in float64, and against torch-fidelity."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from cyclegan.metrics.distribution import fid, kid, kid_interval, kid_subsets, precision_recall

WIDTH = 24


def features(n: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """Correlated, as those of networks are."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)
    return scale * random.normal(size=(n, WIDTH)) @ mixing + shift


def fid_by_matrix_root(x: np.ndarray, y: np.ndarray) -> float:
    """The formula with SciPy's root of a matrix; torch-fidelity takes the way of eigenvalues."""
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False)).real
    means = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return means + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root)


def kid_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    """The U-statistic, pair by pair."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    return within_x + within_y - 2 * np.mean([k(a, b) for a in x for b in y])


def test_fid_is_that_of_the_formula_and_of_torch_fidelity():
    x, y = features(60, 1), features(50, 2, shift=0.3, scale=1.4)
    assert fid(x, y) == pytest.approx(fid_by_matrix_root(x, y), rel=1e-6)
    theirs = fid_statistics_to_metric(*(fid_features_to_statistics(torch.from_numpy(f)) for f in (x, y)), verbose=False)
    assert fid(x, y) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_fid_of_gaussians_that_are_known():
    """Two samples moved and scaled to have exactly these moments: ‖μ‖² + tr(Σ)(1 − 2)²."""
    whitened = features(40, 3)
    whitened -= whitened.mean(axis=0)
    whitened = whitened @ np.linalg.inv(np.linalg.cholesky(np.cov(whitened, rowvar=False))).T
    assert fid(whitened, 2 * whitened + 0.5) == pytest.approx(WIDTH * (0.25 + 1), rel=1e-6)


def test_fid_is_finite_for_fewer_images_than_features():
    assert np.isfinite(fid(features(5, 0), features(6, 1)))


@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_kid_is_that_of_the_formula(n, m, seed):
    x, y = features(n, seed), features(m, seed + 100, shift=0.2)
    assert kid(x, y) == pytest.approx(kid_by_loops(x, y), rel=1e-6, abs=1e-9)


def test_kid_is_that_of_torch_fidelity():
    x, y = features(40, 1), features(40, 2, shift=0.3)
    assert kid(x, y) == pytest.approx(kernel_mmd(x, y, kid_kernel="poly"), rel=1e-6)
    options = dict(kid_subsets=7, kid_subset_size=30, rng_seed=5, verbose=False)
    theirs = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **options)
    mean, deviation = kid_subsets(x, y, subsets=7, size=30, seed=5)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6)


def test_subsets_are_of_a_hundred_images_or_of_all():
    x, y = features(130, 1), features(40, 2, shift=0.3)
    assert kid_subsets(x, y, subsets=3) == kid_subsets(x, y, subsets=3, size=40)
    assert kid_subsets(x, x + 0.1, subsets=3) == kid_subsets(x, x + 0.1, subsets=3, size=100)


def test_kid_of_two_samples_of_one_distribution_is_zero_on_average():
    values = [kid(features(20, seed), features(25, seed + 1000)) for seed in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0  # it is not clipped


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_interval_of_kid_covers_the_truth_about_95_times_in_100(shift):
    truth = 0.0 if shift == 0 else kid(features(4000, 7), features(4000, 8, shift=shift))
    trials = [kid_interval(features(40, seed), features(50, seed + 1000, shift=shift)) for seed in range(200)]
    covered = np.mean([trial.low <= truth <= trial.high for trial in trials])
    assert 0.89 <= covered <= 1.0


def test_the_interval_of_kid_narrows_with_the_number_of_images():
    widths = [np.ptp(kid_interval(features(n, 1), features(n, 2, shift=0.3))[1:]) for n in (20, 80, 320)]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_the_order_of_the_images_makes_no_difference():
    x, y = features(30, 1), features(30, 2, shift=0.2)
    shuffled = np.random.default_rng(0).permutation(x)
    for metric in (fid, kid, lambda a, b: precision_recall(a, b)[0]):
        assert metric(shuffled, y) == pytest.approx(metric(x, y), rel=1e-9)


def test_precision_and_recall_of_sets_that_are_equal_apart_or_contained():
    x = features(60, 1)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert precision_recall(x, x + 100) == (0.0, 0.0)
    narrow = 0.05 * features(60, 2)  # in the middle of the targets: real, but not all that is real
    precision, recall = precision_recall(narrow, x)
    assert precision > 0.9 > 0.2 > recall
