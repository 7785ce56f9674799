"""Generators compiled by TorchInductor.

The first image takes an extra minute and so does the second image size; then translation is faster.

Copies     of compiled generators are not compiled. A video makes one copy, with fixed statistics, and
           compiles it, too. Tiles make one copy for each image, so that images too large for memory are
           translated without a compiler.
Failing    is tested on the device with a small function. If the compiler fails when a generator first runs,
           or runs at another size, the generator continues uncompiled, and one line reports it.
"""

import sys
from dataclasses import replace

from torch import nn
from tqdm import tqdm

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.model import Model
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.training.compile_networks import try_compiler, unless_it_fails


def compiled(loaded: Model) -> Model:
    """Return the model with frozen generators, compiled for images of any size.

    Where the device cannot compile, one line reports it and the model is returned unchanged.
    """
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
    network = inference_copy(translator.network, next(translator.network.parameters()).dtype)
    compile_network(network)
    return replace(translator, network=network)


def compile_network(network: nn.Module) -> None:
    """Compile a network in place, for images of any size."""

    def give_up(error: Exception) -> None:
        network._compiled_call_impl = None
        _say(error)

    network.compile()  # not for one size, as in training
    network._compiled_call_impl = unless_it_fails(network, give_up)


def _say(error: Exception) -> None:
    tqdm.write(f"compile   is not possible here ({type(error).__name__}); continuing without", file=sys.stderr)


def is_compiled(network: nn.Module) -> bool:
    """Return whether a network has been compiled in place."""
    return network._compiled_call_impl is not None
