"""Threads that read files and do not keep a process from ending.

A process waits for the threads of concurrent.futures before it ends, which takes forever if one of them waits
for a network drive. The threads here are asked to end and given a short time to do so.
"""

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from cyclegan.data.openmp import limit_openmp

MOMENT = 1.0  # seconds for all of them together

Tasks: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]"


class Readers:
    """Threads and the queue of their tasks; they end with this object, or with the process."""

    def __init__(self, count: int) -> None:
        self._tasks: Tasks = SimpleQueue()
        threads = [
            threading.Thread(target=_work, args=(self._tasks,), name="reader", daemon=True) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        limit_openmp(self, count)
        weakref.finalize(self, _dismiss, self._tasks, threads)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Submit a task; return a future with its result or its exception."""
        found: Future[Any] = Future()
        self._tasks.put((found, task, arguments))
        return found


def _work(tasks: Tasks) -> None:
    while (given := tasks.get()) is not None:
        found, task, arguments = given
        try:
            found.set_result(task(*arguments))
        except BaseException as error:  # raised again by result() of the future
            found.set_exception(error)
        del given, found, task, arguments  # else they would stay alive until the next task arrives


def _dismiss(tasks: Tasks, threads: list[threading.Thread]) -> None:
    """Drop waiting tasks, and give the threads a moment to end.

    A thread that is inside PyTorch when the process ends would abort it; a thread that never wakes up would
    not.
    """
    with suppress(Empty):
        while True:
            tasks.get_nowait()
    for _ in threads:
        tasks.put(None)
    end = time.monotonic() + MOMENT
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, end - time.monotonic()))
