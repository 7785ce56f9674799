"""Threads that read, and that a process can leave behind.

Those of concurrent.futures are waited for at the end of a process: for ever, if one of them waits for a network drive.
These are told to end, and have a moment for it.
"""

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from cyclegan.data.openmp import without_teams

MOMENT = 1.0  # seconds for all of them together

Tasks: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]"


class Readers:
    """Some threads and the queue of what they are to do; they end with this object, or with the process."""

    def __init__(self, count: int) -> None:
        self._tasks: Tasks = SimpleQueue()
        threads = [
            threading.Thread(target=_work, args=(self._tasks,), name="reader", daemon=True) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        without_teams(self, count)
        weakref.finalize(self, _dismiss, self._tasks, threads)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """What the task returns or raises, once a thread has got to it."""
        found: Future[Any] = Future()
        self._tasks.put((found, task, arguments))
        return found


def _work(tasks: Tasks) -> None:
    while (given := tasks.get()) is not None:
        found, task, arguments = given
        try:
            found.set_result(task(*arguments))
        except BaseException as error:  # whoever waits for it will hear of it
            found.set_exception(error)
        del given, found, task, arguments  # or the last one would live for as long as the next is waited for


def _dismiss(tasks: Tasks, threads: list[threading.Thread]) -> None:
    """A thread that is in the middle of PyTorch when the process ends would abort it; one that never wakes does not."""
    with suppress(Empty):
        while True:
            tasks.get_nowait()
    for _ in threads:
        tasks.put(None)
    end = time.monotonic() + MOMENT
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, end - time.monotonic()))
