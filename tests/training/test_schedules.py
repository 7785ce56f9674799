"""The learning rate: full for the first half, then falling to nothing after the last step, or as else is asked for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.training.schedules import Schedule, cosine_decay, linear_decay, warm_up
from cyclegan.training.training_config import TrainingConfig

steps = st.integers(1, 10_000)
share = st.floats(0, 1)


@settings(deadline=None)
@given(steps=steps, constant_fraction=share)
def test_the_first_step_has_the_full_rate(steps, constant_fraction):
    assert linear_decay(0, steps, constant_fraction) == 1


@settings(deadline=None)
@given(steps=steps, constant_fraction=share.filter(lambda value: value < 0.999), data=st.data())
def test_the_last_step_still_moves_and_the_one_after_it_would_not(steps, constant_fraction, data):
    decay_steps = steps - round(constant_fraction * steps)
    if decay_steps:
        assert linear_decay(steps - 1, steps, constant_fraction) == pytest.approx(1 / decay_steps)
        assert linear_decay(steps, steps, constant_fraction) == 0


@settings(deadline=None)
@given(steps=steps, constant_fraction=share, pair=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_it_never_rises_and_stays_between_zero_and_one(steps, constant_fraction, pair):
    early, late = (int(part * (steps - 1)) for part in sorted(pair))
    assert 1 >= linear_decay(early, steps, constant_fraction) >= linear_decay(late, steps, constant_fraction) > 0


@settings(deadline=None)
@given(steps=steps, constant_fraction=share)
def test_it_is_constant_for_its_share_and_falls_from_then_on(steps, constant_fraction):
    constant = round(constant_fraction * steps)
    assert linear_decay(constant, steps, constant_fraction) == 1
    if constant + 1 < steps:
        assert linear_decay(constant + 1, steps, constant_fraction) < 1


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


def schedule(**settings) -> Schedule:
    return Schedule(TrainingConfig(**{"steps": 8, **settings}), torch.device("cpu"))


def rates(**settings) -> list[float]:
    asked = schedule(**settings)
    return [asked.factor(step) for step in range(8)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        ({"schedule": "constant"}, [1] * 8),
        ({"schedule": "inverse"}, [1 / (1 + 5e-5 * step) for step in range(8)]),
        ({"schedule": "step", "constant_fraction": 0.25}, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        ({"schedule": "step", "decay": 0.5}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
        ({"schedule": "step", "constant_fraction": 0.01, "decay": 0.5}, [0.5**step for step in range(8)]),
        ({"schedule": "plateau"}, [1] * 8),
        ({"schedule": "constant", "warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        ({"constant_fraction": 0.0, "warmup_steps": 2}, [0.5, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
    ],
    ids=str,
)
def test_eight_steps_by_hand(settings, expected):
    assert rates(**settings) == pytest.approx(expected)


def test_cosine_is_full_at_first_half_in_the_middle_and_nothing_after_the_end():
    assert [cosine_decay(step, 100, 0.0) for step in (0, 50, 100)] == pytest.approx([1, 0.5, 0], abs=1e-12)
    assert [cosine_decay(step, 100, 0.5) for step in (0, 50, 75, 100)] == pytest.approx([1, 1, 0.5, 0], abs=1e-12)
    assert cosine_decay(25, 100, 0.0) == pytest.approx(0.5 + 0.5**1.5)  # flat at its ends, where the linear one is not


@settings(deadline=None)
@given(steps=steps, constant_fraction=share, pair=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_cosine_never_rises_and_stays_between_zero_and_one(steps, constant_fraction, pair):
    early, late = (int(part * (steps - 1)) for part in sorted(pair))
    assert 1 >= cosine_decay(early, steps, constant_fraction) >= cosine_decay(late, steps, constant_fraction) > 0


@given(step=st.integers(0, 1000), steps=st.integers(0, 100))
def test_a_warm_up_ends(step, steps):
    assert 0 < warm_up(step, steps) <= 1
    assert warm_up(step, steps) == 1 or step + 1 < steps


def test_a_plateau_drops_the_rate_each_time_its_patience_is_over():
    asked, seen = schedule(schedule="plateau", patience=2, decay=0.5), []
    for better in (True, False, True, False, False, False, True, False, False, False, False):
        asked.update({"distance": 1.0}, better)
        seen.append(asked.factor(0))
    assert seen == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_look_that_validates_nothing_is_no_look_of_a_plateau():
    asked = schedule(schedule="plateau", patience=1)
    asked.update({}, False)
    assert asked.factor(0) == 1


def test_only_a_plateau_has_anything_to_remember():
    assert {kind for kind in ("linear", "cosine", "step", "plateau", "inverse", "constant") if rates_of(kind)} == {
        "plateau"
    }
    asked, restored = schedule(schedule="plateau", patience=3), schedule(schedule="plateau", patience=3)
    for _ in range(4):
        asked.update({"distance": 1.0}, False)
    restored.load_state_dict(asked.state_dict())
    assert (restored.waited, restored.drops) == (1, 1)


def rates_of(kind: str) -> dict[str, Schedule]:
    return schedule(schedule=kind).parts()
