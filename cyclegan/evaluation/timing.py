"""Cost of a translation: seconds and memory of `translate` on a decoded image.

Seconds    the median of up to 5 runs after one warm-up run; if the first run takes longer than 30 s, it is
           the only one and counts.
Memory     the peak during the first run beyond the memory in use before it, and so without weights that are
           already loaded. CUDA: memory allocated by PyTorch. CPU: resident memory of the process, read every
           5 ms from /proc/self/status. None if neither is known.
"""

import ctypes
import gc
import platform
import re
import statistics
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from cyclegan.protocols import Images, Translator

RUNS = 5
PATIENCE = 30.0  # seconds after which no further run begins
INTERVAL = 0.005  # seconds between two readings of resident memory
STATUS = Path("/proc/self/status")
CPU_INFO = Path("/proc/cpuinfo")


class Timing(NamedTuple):
    """Cost of one translation."""

    seconds: float  # the median
    runs: int  # number of runs of the median
    memory: int | None  # bytes at the peak, beyond those in use before


def measure(translator: Translator, images: Images, runs: int = RUNS, patience: float = PATIENCE) -> Timing:
    """Measure the cost of `translate` on images, on the device they are on."""
    taken: list[float] = []

    def run() -> None:
        taken.append(_seconds(translator, images))

    memory = peak(run, images.device)
    if taken[0] < patience:
        taken.clear()  # it was the warm-up
    while not taken or (len(taken) < runs and sum(taken) < patience):
        run()
    return Timing(statistics.median(taken), len(taken), memory)


def device_name(device: torch.device) -> str:
    """Return the name of a device, with the number of threads of a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"{_cpu_name()}, {threads} thread{'s' * (threads > 1)}"


def _seconds(translator: Translator, images: Images) -> float:
    _finish(images.device)
    start = perf_counter()
    with torch.no_grad():
        translator.translate(images)
    _finish(images.device)
    return perf_counter() - start


def _finish(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def peak(call: Callable[[], None], device: torch.device) -> int | None:
    """Return the peak number of bytes that a call needs; None if unknown."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    if device.type != "cpu" or _resident() is None:
        call()
        return None
    return _resident_growth(call)


def _resident_growth(call: Callable[[], None]) -> int:
    give_back()
    readings = [_resident()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            readings.append(_resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return max(reading for reading in [*readings, _resident()] if reading is not None) - (readings[0] or 0)


def _resident() -> int | None:
    """Return the resident bytes of this process; None if the system does not report them."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB$", STATUS.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def give_back() -> None:
    """Return freed memory to the system.

    Otherwise glibc would keep it, and the next growth would be measured too small.
    """
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _cpu_name() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_INFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
