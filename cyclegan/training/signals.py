"""SIGINT and SIGTERM as requests to finish the step, save and exit; a second signal ends the process at once.

Python handles signals between two of its instructions, and a backward pass is one instruction: both signals
could be handled seconds later, as one. So the number of each signal is also written to a socket when it
comes, and a thread counts them.
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
    """First signal that was received."""

    signal_number: int | None = None

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Record the signal, and restore the default action of both signals for the next one."""
        self.signal_number = signal_number
        for number in LISTENED:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Context in which the first SIGINT or SIGTERM is recorded and does not end the process."""
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
    """Context with a thread that ends the process at the second signal.

    This works even if Python has not yet handled the first signal.
    """
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
    requests = 0
    while number := read.recv(1):
        requests += number[0] in LISTENED
        if requests == 2:
            os._exit(128 + number[0])
