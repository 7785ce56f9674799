"""Compilation of whole networks by TorchInductor, where possible: a minute at the first step, then faster.

A small function is first compiled on the device to test whether compilation works. It may still fail when a
network runs for the first time: no state has changed by then, and all networks continue uncompiled. One line
reports it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from cyclegan.protocols import Trainable


def compile_networks(method: Trainable, say: Callable[[str], None] = print, *, graphs: bool = False) -> bool:
    """Compile every network of a method in place; without a compiler, report it and change nothing.

    graphs  On a GPU, record the launches of a network as a CUDA graph and replay it: for small batches, where
            launching takes longer than computing.
    """
    networks = _networks(method)

    def give_up(error: Exception) -> None:
        for network in networks:
            network._compiled_call_impl = None
        say(f"compile   is not possible here ({type(error).__name__}); continuing without")

    try:
        try_compiler(next(networks[0].parameters()).device)
    except Exception as error:  # it may fail in any of many ways: no compiler, a wrong one, a wrong version
        give_up(error)
        return False
    for network in networks:
        network.compile(dynamic=False, mode="reduce-overhead" if graphs else None)
        network._compiled_call_impl = unless_it_fails(network, give_up)
    return True


def try_compiler(device: torch.device) -> None:
    """Compile and run a convolution and the operations after it, forward and backward.

    A GPU uses a separate compiler for these. Raises any error of a compiler that is missing or wrong.
    """
    import torch._functorch.config as autograd

    if hasattr(autograd, "force_non_lazy_backward_lowering"):  # else backward passes are compiled when they run,
        autograd.force_non_lazy_backward_lowering = True  # too late to fall back
    weight = torch.zeros(4, 3, 3, 3, device=device, requires_grad=True)
    slope = torch.compile(lambda images: conv2d(images, weight).tanh().sum())
    slope(torch.zeros(1, 3, 8, 8, device=device)).backward()


def unless_it_fails(network: nn.Module, give_up: Callable[[Exception], None]) -> Callable[..., Tensor]:
    """Return the compiled call of a network, which becomes the plain call once the compiler fails."""
    from torch._dynamo.exc import TorchDynamoException  # any compiler error; importing it takes seconds

    compiled = network._compiled_call_impl
    assert compiled is not None

    def call(*inputs: Any) -> Tensor:
        try:
            return compiled(*inputs)
        except TorchDynamoException as error:
            give_up(error)
        return network(*inputs)

    return call


def _networks(method: Trainable) -> list[nn.Module]:
    """List the networks with parameters: translators and discriminators, but no buffers of past images."""
    assert isinstance(method, nn.Module)
    return [child for child in method.children() if any(True for _ in child.parameters())]
