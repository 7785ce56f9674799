"""Generators compiled by TorchInductor: a minute at the first picture, another at the second size, then faster.

Copies     of them are not compiled. Films make one, whose statistics are fixed, and compile it, too; tiles make one for
           each picture, so that what is too large for memory is translated as without a compiler.
Failing    is tried with something small on the device. A generator at which the compiler fails when it first runs, or
           at another size, goes on as it is, and one line says so.
"""

import sys
from dataclasses import replace

from torch import nn
from tqdm import tqdm

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.model import Loaded
from cyclegan.networks.inference_copy import frozen
from cyclegan.training.compile_networks import try_compiler, unless_it_fails


def compiled(loaded: Loaded) -> Loaded:
    """The same with frozen generators, compiled for pictures of any size; one line says where that is not possible."""
    generators = {side: one for side, one in loaded.translators.items() if isinstance(one, NetworkTranslator)}
    if loaded.stylizer is not None or not generators:
        raise UserError("--compile: is for the generators of runs and releases; this model has none, leave it out")
    try:
        try_compiler(next(iter(generators.values())).device)
    except Exception as error:  # as in training: it may fail in any of many ways
        _say(error)
        return loaded
    return replace(loaded, translators={side: _compiled(one) for side, one in generators.items()})


def _compiled(translator: NetworkTranslator) -> NetworkTranslator:
    network = frozen(translator.network, next(translator.network.parameters()).dtype)
    compile_network(network)
    return replace(translator, network=network)


def compile_network(network: nn.Module) -> None:
    """In place, for pictures of any size."""

    def give_up(error: Exception) -> None:
        network._compiled_call_impl = None
        _say(error)

    network.compile()  # not for one size, as in training
    network._compiled_call_impl = unless_it_fails(network, give_up)


def _say(error: Exception) -> None:
    tqdm.write(f"compile   is not possible here ({type(error).__name__}); continuing without", file=sys.stderr)


def is_compiled(network: nn.Module) -> bool:
    """Whether it has been, in place."""
    return network._compiled_call_impl is not None
