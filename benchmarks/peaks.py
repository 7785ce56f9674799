"""What a computation asks of a device, and the most that the device gives."""

from collections.abc import Callable
from functools import cache
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cyclegan.translate.memory_estimate import free

CHANNELS, SIDE = 256, 64  # of a residual block at 256 px, of which CycleGAN mostly consists
SECONDS = 1.0  # of trying
ROOM = 1.4  # times the activations: what a step takes at its peak, and some to spare


def flops(call: Callable[[], object]) -> int:
    """Of convolutions and matrix products, forward and backward; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@cache
def fastest(dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of nothing but such a block's convolution, the best of a second.

    One image does not fill a GPU, and waiting for it after every call would be timed, too: what others then reach would
    look like more of its peak than it is.
    """
    on_cpu = device.type == "cpu"
    count, calls = (1, 1) if on_cpu else (32, 20)
    order = torch.contiguous_format if on_cpu else torch.channels_last  # that of tensor cores
    images = torch.randn(count, CHANNELS, SIDE + 2, SIDE + 2, device=device, dtype=dtype).to(memory_format=order)
    convolve = nn.Conv2d(CHANNELS, CHANNELS, 3, device=device, dtype=dtype).to(memory_format=order)
    taken: list[float] = []
    with torch.no_grad():
        while sum(taken) < SECONDS:
            finish(device)
            start = perf_counter()
            for _ in range(calls):
                convolve(images)
            finish(device)
            taken.append(perf_counter() - start)
    return 2 * 9 * CHANNELS**2 * SIDE**2 * count * calls / min(taken)


def fits(kept: float, device: torch.device) -> bool:
    """Whether there is memory for a step that keeps so many bytes of activations."""
    there = free(device)
    return there is None or ROOM * kept <= there


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was asked to."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
