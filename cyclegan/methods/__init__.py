"""One file per paper. `build` turns settings into the method they describe; imports no PyTorch until then."""

from importlib import import_module
from typing import Any

from cyclegan.methods.settings import AdaINConfig, CUTConfig, CycleGANConfig, GatysConfig, MethodConfig

METHODS = {
    CycleGANConfig: ("cyclegan.methods.cyclegan", "CycleGAN"),
    CUTConfig: ("cyclegan.methods.cut", "CUT"),
    AdaINConfig: ("cyclegan.methods.adain", "AdaIN"),
    GatysConfig: ("cyclegan.methods.gatys", "Gatys"),
}


def build(config: MethodConfig) -> Any:
    """The method of a settings object, untrained if it is one that learns."""
    module, name = METHODS[type(config)]
    return getattr(import_module(module), name)(config)
