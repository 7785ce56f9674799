"""Waiting for what another process does."""

import subprocess
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any


def wait_until(
    seen: Callable[[], Any],
    process: BaseProcess | subprocess.Popen,
    said: Callable[[], str],
    timeout: float,
    between: float = 0.0005,
) -> Any:
    """Look, so many seconds between two looks, until something is seen, which is returned; the process must live on."""
    deadline = time.monotonic() + timeout
    while not (found := seen()):
        alive = process.is_alive() if isinstance(process, BaseProcess) else process.poll() is None
        assert alive, f"ended too early, having said\n{said()}"
        assert time.monotonic() < deadline, f"waited in vain, and read\n{said()}"
        time.sleep(between)
    return found
