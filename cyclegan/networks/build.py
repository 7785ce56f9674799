"""Construction of networks from their settings."""

from typing import Any

from cyclegan.networks.network_config import (
    DiscriminatorConfig,
    GeneratorConfig,
    PyramidConfig,
    TransformNetConfig,
    UnetConfig,
)
from cyclegan.networks.patchgan import MultiscaleDiscriminator, PatchDiscriminator
from cyclegan.networks.pyramid_net import PyramidNet
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.transform_net import TransformNet
from cyclegan.networks.unet import UnetGenerator

NetworkConfig = GeneratorConfig | UnetConfig | TransformNetConfig | PyramidConfig | DiscriminatorConfig


def build_generator(
    config: GeneratorConfig | UnetConfig, in_channels: int = 3, out_channels: int = 3
) -> ResnetGenerator | UnetGenerator:
    """Build the untrained generator that the settings describe."""
    if isinstance(config, UnetConfig):
        return UnetGenerator(in_channels=in_channels, out_channels=out_channels, **_options(config, "name"))
    return build_resnet(config, in_channels, out_channels)


def build_resnet(config: GeneratorConfig, in_channels: int = 3, out_channels: int = 3) -> ResnetGenerator:
    """Build an untrained residual generator, the kind whose features CUT compares."""
    return ResnetGenerator(in_channels=in_channels, out_channels=out_channels, **_options(config, "name"))


def build_discriminator(
    config: DiscriminatorConfig, in_channels: int = 3
) -> PatchDiscriminator | MultiscaleDiscriminator:
    """Build an untrained discriminator.

    One with a single scale is a plain PatchDiscriminator, so that its older checkpoints load.
    """
    options = {"in_channels": in_channels, **_options(config, "scales")}
    if config.scales == 1:
        return PatchDiscriminator(**options)
    return MultiscaleDiscriminator(scales=config.scales, **options)


def build_transform_net(config: TransformNetConfig) -> TransformNet:
    """Build an untrained network of fast style transfer."""
    return TransformNet(**_options(config, "name"))


def build_pyramid_net(config: PyramidConfig) -> PyramidNet:
    """Build an untrained generator of textures."""
    return PyramidNet(**_options(config, "name"))


def _options(config: NetworkConfig, without: str) -> dict[str, Any]:
    return {key: value for key, value in vars(config).items() if key != without}
