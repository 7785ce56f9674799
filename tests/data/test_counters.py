"""Random numbers from counters: a function of the counters and of nothing else."""

import random
from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.data.counter_rng import permutation, rng, shuffled_pass

counter = st.integers(0, 2**40)


@settings(deadline=None, max_examples=50)
@given(counters=st.lists(counter, min_size=1, max_size=4), noise=st.integers(0, 2**32 - 1))
def test_the_same_counters_draw_the_same_whatever_was_drawn_elsewhere(counters, noise):
    first = rng(*counters).random(3)
    random.seed(noise)
    np.random.seed(noise)  # noqa: NPY002 - that it has no effect is what is tested
    torch.manual_seed(noise)
    rng(*counters, noise).random(5)
    assert np.array_equal(rng(*counters).random(3), first)


@settings(deadline=None, max_examples=50)
@given(seed=counter, side=st.integers(0, 1), sample=counter)
def test_another_seed_side_or_sample_draws_something_else(seed, side, sample):
    first = rng(seed, side, sample).random(3)
    for other in ((seed + 1, side, sample), (seed, 1 - side, sample), (seed, side, sample + 1)):
        assert not np.array_equal(rng(*other).random(3), first)


def test_neighboring_samples_are_uniform_and_uncorrelated():
    drawn = np.array([rng(0, 0, sample).random() for sample in range(2000)])
    assert np.histogram(drawn, bins=10, range=(0, 1))[0].min() > 150
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.06


def test_the_numbers_are_those_that_runs_of_earlier_versions_have_seen():
    assert rng(0, 1, 2).random() == 0.790174605053907
    assert permutation(8, 3, 0, 1).tolist() == [4, 0, 5, 2, 1, 7, 6, 3]


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 40), epoch=st.integers(0, 1000), seed=counter)
def test_a_permutation_holds_every_number_once(count, epoch, seed):
    assert sorted(permutation(count, epoch, seed)) == list(range(count))


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 12), passes=st.integers(1, 4), seed=counter, order=st.randoms(use_true_random=False))
def test_every_pass_shows_each_picture_once_in_whatever_order_it_is_asked(count, passes, seed, order):
    samples = list(range(count * passes))
    order.shuffle(samples)
    shown = {sample: shuffled_pass(sample, count, seed, 0) for sample in samples}
    for start in range(0, count * passes, count):
        assert sorted(shown[sample] for sample in range(start, start + count)) == list(range(count))


def test_every_pass_has_an_order_of_its_own_and_every_picture_comes_first_equally_often():
    orders = [tuple(shuffled_pass(4 * epoch + k, 4, 7, 0) for k in range(4)) for epoch in range(960)]
    assert len(set(orders)) == 24
    first = Counter(order[0] for order in orders)
    assert all(190 < first[picture] < 290 for picture in range(4))
