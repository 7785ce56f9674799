"""Threads that work beside the one that computes, and leave it the cores.

A thread that hands PyTorch a large tensor gets a team of OpenMP threads of its own. With more of them in all than there
are cores, the teams no longer spin while they wait for their next task but go to sleep; a step of a small network is a
thousand short tasks, and takes twice as long. What reads or writes pictures needs no team.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class Executor(Protocol):
    """What runs tasks in threads, a new one for every task that no idle one can take."""

    def submit(self, task: Any, /) -> "Future[Any]":
        """Have it done."""
        ...


def helpers(threads: int, name: str) -> ThreadPoolExecutor:
    """Threads that do not compute in teams."""
    executor = ThreadPoolExecutor(threads, name)
    without_teams(executor, threads)
    return executor


def without_teams(executor: Executor, threads: int) -> None:
    """Keep all so many threads of an executor from computing in teams; the thread that calls goes on as it did."""
    size = torch.get_num_threads()
    settled = Barrier(threads + 1)

    def settle() -> None:
        torch.get_num_threads()  # what a thread first asks, it would else ask later, and forget what it is told now
        torch.set_num_threads(1)
        settled.wait()

    for _ in range(threads):
        executor.submit(settle)
    settled.wait()
    torch.set_num_threads(size)  # MKL and threads to come had heard it, too
