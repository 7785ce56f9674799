"""The networks of their settings."""

from cyclegan.methods.settings import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.networks.patchgan import MultiscaleDiscriminator, PatchDiscriminator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator


def build_generator(config: GeneratorConfig | UnetConfig) -> ResnetGenerator | UnetGenerator:
    """An untrained one."""
    options = {key: value for key, value in vars(config).items() if key != "name"}
    return UnetGenerator(**options) if isinstance(config, UnetConfig) else ResnetGenerator(**options)


def build_discriminator(config: DiscriminatorConfig) -> PatchDiscriminator | MultiscaleDiscriminator:
    """An untrained one; that of a single scale is as it always was, for the checkpoints that hold one."""
    options = {key: value for key, value in vars(config).items() if key != "scales"}
    if config.scales == 1:
        return PatchDiscriminator(**options)
    return MultiscaleDiscriminator(scales=config.scales, **options)
