"""Batches of any source, addressed by step; the following batches are read in the background.

A source defines sample k of a run: one tensor for each field of its batch, a function of (seed, k) alone.
This module holds the parts common to all kinds of data: reading ahead, time limits, shards of processes, and
copies to a GPU.

Threads    A process waits for the threads of concurrent.futures before it ends, which takes forever if one of
           them waits for a network drive. `Readers` asks its threads to end and gives them a short time.
"""

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from cyclegan import distributed
from cyclegan.data.data_config import ReadingConfig
from cyclegan.data.openmp import limit_openmp
from cyclegan.data.prefetch import Copies
from cyclegan.errors import UnresponsiveError

AHEAD = 4  # smallest number of batches that are read ahead; each is read by one reader
CPU = torch.device("cpu")
MOMENT = 1.0  # seconds for all of them together

Tasks: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]"


@runtime_checkable
class Source(Protocol):
    """Source of samples of one kind of data."""

    Batch: Any  # a NamedTuple class; its fields are those of a sample

    def sample(self, k: int) -> Sequence[Tensor]:
        """Return one tensor for each field: images as uint8 or as floats in [-1, 1], or integers (int64)."""
        ...

    def names(self, k: int) -> Sequence[str]:
        """Return the origin of each tensor: a file, a style."""
        ...


class Stream:
    """Endless batches of a source."""

    def __init__(
        self,
        source: Source,
        config: ReadingConfig,
        device: torch.device = CPU,
        micro_batches: int = 1,
    ) -> None:
        """Create the stream; each batch is trained on in `micro_batches` parts, one after the other."""
        self.source = source
        self.config = config
        self.micro_batches = micro_batches
        self._readers = Readers(config.workers)
        self._copies = Copies(device) if device.type == "cuda" else None
        self._coming: dict[int, Future[Any]] = {}
        self._at: dict[int, int] = {}  # step of a batch being read -> sample being read

    def batch_at(self, step: int) -> Any:
        """Return the batch of a step, with images in [-1, 1], on the GPU if it is meant for one.

        The following batches are read in the background. Raises UnresponsiveError if it takes longer than
        data.timeout.
        """
        for later in range(step, step + max(AHEAD, self.config.workers)):
            if later not in self._coming:
                self._coming[later] = self._readers.submit(self._assemble, later)
        self._coming = {later: batch for later, batch in self._coming.items() if later >= step}
        awaited = self._coming.pop(step)
        if not wait([awaited], self.config.timeout).done:
            raise UnresponsiveError(
                f"{self._reading(step)}: not read after {self.config.timeout:g} s; "
                "when its drive answers again, the same command continues (or set data.timeout higher)"
            )
        batch = awaited.result()
        return batch if self._copies is None else self._copies.end(batch)

    def names_at(self, step: int) -> Mapping[str, Sequence[str]]:
        """Return the origins of the samples of a step, over all processes, by field of the batch."""
        columns = zip(*(self.source.names(k) for k in self._samples(step)), strict=True)
        return dict(zip(self.source.Batch._fields, map(list, columns), strict=True))

    def _reading(self, step: int) -> str:
        """Return the files of the sample that the reader is reading."""
        return " or ".join(self.source.names(self._at[step])) if step in self._at else "an image"

    def _samples(self, step: int) -> range:
        return range(step * self.config.batch_size, (step + 1) * self.config.batch_size)

    def _assemble(self, step: int) -> Any:
        samples = []
        for number in distributed.micro_batch_indices(self.config.batch_size, self.micro_batches):
            self._at[step] = self._samples(step)[number]
            samples.append(self.source.sample(self._at[step]))
        batch = collate(self.source, samples)
        self._at.pop(step, None)
        return batch if self._copies is None else self._copies.begin(batch)


def collate(source: Source, samples: Sequence[Sequence[Tensor]]) -> Any:
    """Stack samples into a batch, with images scaled to [-1, 1]."""
    return source.Batch(*(scale(torch.stack(field)) for field in zip(*samples, strict=True)))


def scale(values: Tensor) -> Tensor:
    """Scale bytes 0…255 → [-1, 1]; floats already have that range, and integers are not images."""
    return values.to(torch.float32).div(127.5).sub(1) if values.dtype == torch.uint8 else values


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
