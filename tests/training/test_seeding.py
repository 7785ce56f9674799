"""Every step starts from a seed of its own, in all three generators."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.training.seeding import seed_step

number = st.integers(0, 2**40)


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), torch.rand(()).item()  # noqa: NPY002 - seeded by seed_step


@pytest.fixture(autouse=True)
def _undisturbed():
    """Other tests keep the generators they had."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])


@settings(deadline=None, max_examples=30)
@given(seed=number, step=number, other=number)
def test_a_step_draws_the_same_whatever_went_before(seed, step, other):
    seed_step(seed, step)
    first = drawn()
    seed_step(other, other)
    drawn()
    seed_step(seed, step)
    assert drawn() == first


@settings(deadline=None, max_examples=30)
@given(seed=number, step=number)
def test_another_seed_or_step_draws_something_else_in_every_generator(seed, step):
    seed_step(seed, step)
    first = drawn()
    for other in ((seed + 1, step), (seed, step + 1)):
        seed_step(*other)
        assert all(a != b for a, b in zip(drawn(), first, strict=True))


def test_seed_and_step_do_not_stand_in_for_each_other():
    seed_step(1, 2)
    first = drawn()
    seed_step(2, 1)
    assert drawn() != first


def test_the_first_numbers_of_consecutive_steps_are_uniform_and_uncorrelated():
    first = []
    for step in range(1000):
        seed_step(0, step)
        first.append(torch.rand(()).item())
    assert np.histogram(first, bins=10, range=(0, 1))[0].min() > 65
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.08
