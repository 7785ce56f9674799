"""The learning rate: full for the first half, then falling linearly to nothing after the last step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.training.schedules import linear_decay

steps = st.integers(1, 10_000)
share = st.floats(0, 1)


@settings(deadline=None)
@given(steps=steps, constant_share=share)
def test_the_first_step_has_the_full_rate(steps, constant_share):
    assert linear_decay(0, steps, constant_share) == 1


@settings(deadline=None)
@given(steps=steps, constant_share=share.filter(lambda value: value < 0.999), data=st.data())
def test_the_last_step_still_moves_and_the_one_after_it_would_not(steps, constant_share, data):
    decay_steps = steps - round(constant_share * steps)
    if decay_steps:
        assert linear_decay(steps - 1, steps, constant_share) == pytest.approx(1 / decay_steps)
        assert linear_decay(steps, steps, constant_share) == 0


@settings(deadline=None)
@given(steps=steps, constant_share=share, pair=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_it_never_rises_and_stays_between_zero_and_one(steps, constant_share, pair):
    early, late = (int(part * (steps - 1)) for part in sorted(pair))
    assert 1 >= linear_decay(early, steps, constant_share) >= linear_decay(late, steps, constant_share) > 0


@settings(deadline=None)
@given(steps=steps, constant_share=share)
def test_it_is_constant_for_its_share_and_falls_from_then_on(steps, constant_share):
    constant = round(constant_share * steps)
    assert linear_decay(constant, steps, constant_share) == 1
    if constant + 1 < steps:
        assert linear_decay(constant + 1, steps, constant_share) < 1


def test_a_share_of_one_never_falls():
    assert {linear_decay(step, 7, 1.0) for step in range(7)} == {1.0}


def test_the_papers_200_epochs():
    epoch = 1334  # horse2zebra
    factors = [linear_decay(k * epoch, 200 * epoch, 0.5) for k in range(201)]
    assert factors[:101] == [1.0] * 101
    assert factors[150] == 0.5
    assert factors[200] == 0
    authors = [1 - max(0, k + 1 - 100) / 101 for k in range(200)]  # theirs falls once an epoch, by 1/101
    assert max(abs(ours - theirs) for ours, theirs in zip(factors, authors, strict=False)) < 0.011
