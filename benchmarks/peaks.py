"""What a computation asks of a device, and the most that the device gives."""

from collections.abc import Callable
from functools import cache
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

CHANNELS, SIDE = 256, 64  # of a residual block at 256 px, of which CycleGAN mostly consists
SECONDS = 1.0  # of trying


def flops(call: Callable[[], object]) -> int:
    """Of convolutions and matrix products, forward and backward; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@cache
def fastest(dtype: torch.dtype, device: torch.device) -> float:
    """FLOP/s of nothing but such a block's convolution, the best of a second."""
    images = torch.randn(1, CHANNELS, SIDE + 2, SIDE + 2, device=device, dtype=dtype)
    convolve = nn.Conv2d(CHANNELS, CHANNELS, 3, device=device, dtype=dtype)
    taken: list[float] = []
    with torch.no_grad():
        while sum(taken) < SECONDS:
            start = perf_counter()
            convolve(images)
            finish(device)
            taken.append(perf_counter() - start)
    return 2 * 9 * CHANNELS**2 * SIDE**2 / min(taken)


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was asked to."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
