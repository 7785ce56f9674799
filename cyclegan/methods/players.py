"""The networks of their settings."""

from typing import Any

from cyclegan.methods.settings import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.networks.patchgan import MultiscaleDiscriminator, PatchDiscriminator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator


def build_generator(config: GeneratorConfig | UnetConfig) -> ResnetGenerator | UnetGenerator:
    """An untrained one."""
    return UnetGenerator(**_options(config, "name")) if isinstance(config, UnetConfig) else build_resnet(config)


def build_resnet(config: GeneratorConfig) -> ResnetGenerator:
    """Likewise, of the kind whose insides CUT compares."""
    return ResnetGenerator(**_options(config, "name"))


def build_discriminator(config: DiscriminatorConfig) -> PatchDiscriminator | MultiscaleDiscriminator:
    """An untrained one; that of a single scale is as it always was, for the checkpoints that hold one."""
    options = _options(config, "scales")
    if config.scales == 1:
        return PatchDiscriminator(**options)
    return MultiscaleDiscriminator(scales=config.scales, **options)


def _options(config: GeneratorConfig | UnetConfig | DiscriminatorConfig, without: str) -> dict[str, Any]:
    return {key: value for key, value in vars(config).items() if key != without}
