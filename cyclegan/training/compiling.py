"""Networks compiled by TorchInductor as a whole, where that is possible: a minute at the first step, then faster."""

from collections.abc import Callable

import torch
from torch import nn

from cyclegan.protocols import Trainable


def compile_networks(method: Trainable, say: Callable[[str], None] = print, *, graphs: bool = False) -> bool:
    """Compile every network of a method in place; without a compiler say so, and leave them as they are.

    graphs  On a GPU, record what a network launches as a CUDA graph and replay it: for small batches, where launching
            takes longer than computing.
    """
    try:
        torch.compile(lambda tensor: tensor + 1)(torch.zeros(1))
    except Exception as error:  # it may fail in any of many ways: no compiler, a wrong one, a wrong version
        say(f"compile   is not possible here ({type(error).__name__}); continuing without")
        return False
    for network in _networks(method):
        network.compile(dynamic=False, mode="reduce-overhead" if graphs else None)
    return True


def _networks(method: Trainable) -> list[nn.Module]:
    """Those with parameters: translators and judges, no buffers of past images."""
    assert isinstance(method, nn.Module)
    return [child for child in method.children() if any(True for _ in child.parameters())]
