"""Batches of any source, addressed by step; the following batches are read in the background.

A source defines sample k of a run: one tensor for each field of its batch, a function of (seed, k) alone.
This module holds the parts common to all kinds of data: reading ahead, time limits, shards of processes, and
copies to a GPU.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from cyclegan import distributed
from cyclegan.data.data_config import ReadingConfig
from cyclegan.data.prefetch import Copies, Copy
from cyclegan.data.readers import Readers
from cyclegan.errors import UnresponsiveError

AHEAD = 4  # smallest number of batches that are read ahead; each is read by one reader
CPU = torch.device("cpu")


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
        self._copies = Copies(device)
        self._coming: dict[int, Future[Copy]] = {}
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
        return self._copies.end(awaited.result())

    def names_at(self, step: int) -> Mapping[str, Sequence[str]]:
        """Return the origins of the samples of a step, over all processes, by field of the batch."""
        columns = zip(*(self.source.names(k) for k in self._samples(step)), strict=True)
        return dict(zip(self.source.Batch._fields, map(list, columns), strict=True))

    def _reading(self, step: int) -> str:
        """Return the files of the sample that the reader is reading."""
        return " or ".join(self.source.names(self._at[step])) if step in self._at else "an image"

    def _samples(self, step: int) -> range:
        return range(step * self.config.batch_size, (step + 1) * self.config.batch_size)

    def _assemble(self, step: int) -> Copy:
        samples = []
        for number in distributed.micro_batch_indices(self.config.batch_size, self.micro_batches):
            self._at[step] = self._samples(step)[number]
            samples.append(self.source.sample(self._at[step]))
        batch = collate(self.source, samples)
        self._at.pop(step, None)
        return self._copies.begin(batch)


def collate(source: Source, samples: Sequence[Sequence[Tensor]]) -> Any:
    """Stack samples into a batch, with images scaled to [-1, 1]."""
    return source.Batch(*(scale(torch.stack(field)) for field in zip(*samples, strict=True)))


def scale(values: Tensor) -> Tensor:
    """Scale bytes 0…255 → [-1, 1]; floats already have that range, and integers are not images."""
    return values.to(torch.float32).div(127.5).sub(1) if values.dtype == torch.uint8 else values
