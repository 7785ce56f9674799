"""Helper threads that leave the CPU cores to the thread that computes.

Each thread that passes a large tensor to PyTorch gets a team of OpenMP threads of its own. If there are more
of these threads in total than cores, the teams sleep instead of spinning while they wait for their next task.
A step of a small network is a thousand short tasks and then takes twice as long. Threads that read or write
images need no team.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class Executor(Protocol):
    """Pool that runs tasks in threads and starts a new thread when no idle one can take a task."""

    def submit(self, task: Any, /) -> "Future[Any]":
        """Submit a task."""
        ...


def helpers(threads: int, name: str) -> ThreadPoolExecutor:
    """Return a pool of threads that compute without OpenMP teams."""
    executor = ThreadPoolExecutor(threads, name)
    limit_openmp(executor, threads)
    return executor


def limit_openmp(executor: Executor, threads: int) -> None:
    """Turn off OpenMP teams in all `threads` threads of an executor.

    The calling thread keeps its number of threads.
    """
    size = torch.get_num_threads()
    settled = Barrier(threads + 1)

    def settle() -> None:
        torch.get_num_threads()  # a first call after the next line would reset its number
        torch.set_num_threads(1)
        settled.wait()

    for _ in range(threads):
        executor.submit(settle)
    settled.wait()
    torch.set_num_threads(size)  # the calls above also changed MKL and later threads
