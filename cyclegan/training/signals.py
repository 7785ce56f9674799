"""SIGINT and SIGTERM as a request: finish the step, save, leave. A second one leaves at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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
    before: dict[int, Any] = {number: signal.signal(number, request.receive) for number in LISTENED}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
