"""Threads beside the one that computes: they ask for no team, and it keeps its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import pytest
import torch

from cyclegan.data.openmp import helpers
from cyclegan.data.stream import Readers


@pytest.fixture(autouse=True)
def teams_of_two() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def team() -> int:
    """Of the thread that asks, after it has had something to share out."""
    torch.ones(1 << 20).add(1)
    return torch.get_num_threads()


@pytest.mark.parametrize("executor", [Readers, lambda threads: helpers(threads, "helpers")])
def test_no_helper_computes_in_a_team_and_the_caller_still_does(executor: Callable):
    threads = executor(3)
    together = Barrier(3)

    def asked() -> int:
        together.wait()  # every thread is asked
        return team()

    answers = [threads.submit(asked) for _ in range(3)]
    wait(answers)
    assert [answer.result() for answer in answers] == [1, 1, 1]
    assert team() == 2
    del threads


def test_threads_that_come_later_compute_in_teams():
    with helpers(1, "helper"):
        pass
    with ThreadPoolExecutor(1) as later:
        assert later.submit(team).result() == 2
