"""One file per paper. `build` turns settings into the method they describe; importing this imports no PyTorch."""

from importlib import import_module
from typing import Any

from cyclegan.methods.settings import CycleGANConfig, MethodConfig

METHODS = {CycleGANConfig: ("cyclegan.methods.cyclegan", "CycleGAN")}


def build(config: MethodConfig) -> Any:
    """The untrained method of a settings object."""
    module, name = METHODS[type(config)]
    return getattr(import_module(module), name)(config)
