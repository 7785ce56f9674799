"""One file per paper. `build` turns settings into the method they describe; imports no PyTorch until then."""

from importlib import import_module
from typing import Any

from cyclegan.methods.settings import AdaINConfig, CUTConfig, CycleGANConfig, DirectedConfig, GatysConfig, MethodConfig

METHODS = {
    CycleGANConfig: ("cyclegan.methods.cyclegan", "CycleGAN"),
    CUTConfig: ("cyclegan.methods.cut", "CUT"),
    AdaINConfig: ("cyclegan.methods.adain", "AdaIN"),
    GatysConfig: ("cyclegan.methods.gatys", "Gatys"),
}


def build(config: MethodConfig, channels: tuple[int, int] = (3, 3)) -> Any:
    """The method of a settings object, untrained if it is one that learns; for images of so many channels, X's and Y's.

    Raises ValueError where it cannot be for these.
    """
    config.require_channels(*channels)
    module, name = METHODS[type(config)]
    method = getattr(import_module(module), name)
    return method(config, channels) if isinstance(config, DirectedConfig) else method(config)
