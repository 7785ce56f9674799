"""SIGINT and SIGTERM as a request: finish the step, save, leave. A second one leaves at once.

Python hears of signals between two of its instructions, and a backward pass is one: both could come and be heard of
seconds later, as one. So the number of each is also written to a socket, when it comes, and counted by a thread.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import Any

LISTENED = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Holds the first signal that came."""

    signal_number: int | None = None

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Note it, and let the next one, of either kind, act as if nobody listened."""
        self.signal_number = signal_number
        for number in LISTENED:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within this context the first SIGINT or SIGTERM is noted instead of obeyed."""
    request = StopRequest()
    with _counted():
        before: dict[int, Any] = {number: signal.signal(number, request.receive) for number in LISTENED}
        try:
            yield request
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _counted() -> Iterator[None]:
    """Within this context a thread ends the process at the second signal, should Python not have heard of the first."""
    written, read = socket.socketpair()
    written.setblocking(False)
    counter = Thread(target=_leave_at_the_second, args=(read,), name="signals", daemon=True)
    counter.start()
    before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        written.close()
        counter.join()
        read.close()


def _leave_at_the_second(read: socket.socket) -> None:
    heard = 0
    while number := read.recv(1):
        heard += number[0] in LISTENED
        if heard == 2:
            os._exit(128 + number[0])
