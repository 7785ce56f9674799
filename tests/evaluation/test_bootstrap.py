"""The bootstrap: its interval covers, and is paired."""

import numpy as np
import pytest

from cyclegan.evaluation.bootstrap import bootstrap


def test_the_mean_is_the_mean_and_the_interval_holds_it():
    values = np.array([1.0, 2.0, 6.0])
    estimate = bootstrap(values)
    assert estimate.mean == 3
    assert 1 <= estimate.low < 3 < estimate.high <= 6


def test_values_that_do_not_vary_leave_no_doubt():
    assert bootstrap(np.full(10, 0.25)) == (0.25, 0.25, 0.25)


def test_the_interval_is_that_of_the_normal_distribution_for_many_values():
    values = np.random.default_rng(0).normal(5, 2, size=400)
    estimate = bootstrap(values)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_the_interval_covers_the_true_mean_about_19_times_of_20():
    draws = np.random.default_rng(1).exponential(1, size=(300, 40))
    covered = [low <= 1 <= high for _, low, high in map(bootstrap, draws)]
    assert 0.88 < np.mean(covered) < 0.98


def test_a_seed_draws_the_same_images_every_time_and_another_seed_others():
    values = np.random.default_rng(2).random(30)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values)


def test_a_small_but_constant_difference_is_certain():
    values = np.random.default_rng(3).normal(20, 5, size=40)
    other = values + 0.1
    assert bootstrap(other).low < bootstrap(values).high  # unpaired, nothing can be said
    assert bootstrap(other - values).low == pytest.approx(0.1)
