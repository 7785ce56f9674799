"""Networks compiled by TorchInductor as a whole, where that is possible: a minute at the first step, then faster.

Whether it is possible is tried with something small on the device, and may still turn out when a network runs for the
first time: then nothing has moved yet, and all networks go on as they are. One line says so.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from cyclegan.protocols import Trainable


def compile_networks(method: Trainable, say: Callable[[str], None] = print, *, graphs: bool = False) -> bool:
    """Compile every network of a method in place; without a compiler say so, and leave them as they are.

    graphs  On a GPU, record what a network launches as a CUDA graph and replay it: for small batches, where launching
            takes longer than computing.
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
    """Forward and backward of a convolution and what follows it: for these, a GPU has a compiler of its own.

    Raises whatever it raises where there is none, or a wrong one.
    """
    import torch._functorch.config as autograd

    if hasattr(autograd, "force_non_lazy_backward_lowering"):  # else backward passes are compiled where they run,
        autograd.force_non_lazy_backward_lowering = True  # too late to do without
    weight = torch.zeros(4, 3, 3, 3, device=device, requires_grad=True)
    slope = torch.compile(lambda images: conv2d(images, weight).tanh().sum())
    slope(torch.zeros(1, 3, 8, 8, device=device)).backward()


def unless_it_fails(network: nn.Module, give_up: Callable[[Exception], None]) -> Callable[..., Tensor]:
    """The compiled call of a network, or the plain one from when the compiler fails."""
    from torch._dynamo.exc import TorchDynamoException  # whatever the compiler says; to load it takes seconds

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
    """Those with parameters: translators and judges, no buffers of past images."""
    assert isinstance(method, nn.Module)
    return [child for child in method.children() if any(True for _ in child.parameters())]
