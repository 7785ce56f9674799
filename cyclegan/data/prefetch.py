"""Prefetch batches to a GPU: copy them while earlier steps compute.

A copy waits for everything launched before it on the same stream, so copies have a stream of their own. Their
memory belongs to that stream: the computing stream has to wait until a batch is written, and the memory may
be reused only once the computing stream has read it.
"""

from typing import Any, NamedTuple

import torch


class Copy(NamedTuple):
    """Batch whose copy to the GPU may still be in progress."""

    batch: Any
    done: torch.cuda.Event


class Copies:
    """Copies of batches to a GPU, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def begin(self, batch: Any) -> Copy:
        """Start a copy. Any thread may call this; it returns at once, because the memory is pinned."""
        with torch.cuda.stream(self._stream):
            there = type(batch)(*(images.pin_memory().to(self.device, non_blocking=True) for images in batch))
            return Copy(there, self._stream.record_event())

    def end(self, copy: Copy) -> Any:
        """Return the batch; the computing stream waits for the copy, the calling thread does not."""
        computing = torch.cuda.current_stream(self.device)
        computing.wait_event(copy.done)
        for images in copy.batch:
            images.record_stream(computing)
        return copy.batch
