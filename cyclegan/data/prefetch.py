"""Batches on their way to a GPU: copied while the steps before theirs compute.

A copy waits for all that was launched before it on the same stream, so these have a stream of their own. What they
write belongs to that stream: the one that computes has to wait until it is written, and the memory may be used again
only when that one has read it.
"""

from typing import Any, NamedTuple

import torch


class Copy(NamedTuple):
    """A batch that may still be on its way."""

    batch: Any
    done: torch.cuda.Event | None  # none: it is there, or stays on the CPU


class Copies:
    """To a GPU; for any other device batches stay on the CPU, where what computes will fetch them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def begin(self, batch: Any) -> Copy:
        """Start to copy; any thread may call it, and goes on at once, as the copied memory is pinned."""
        if self._stream is None:
            return Copy(batch, None)
        with torch.cuda.stream(self._stream):
            there = type(batch)(*(images.pin_memory().to(self.device, non_blocking=True) for images in batch))
            return Copy(there, self._stream.record_event())

    def end(self, copy: Copy) -> Any:
        """The batch, for the stream that computes: it waits for the copy, and this thread for nothing."""
        if copy.done is not None:
            computing = torch.cuda.current_stream(self.device)
            computing.wait_event(copy.done)
            for images in copy.batch:
                images.record_stream(computing)
        return copy.batch
