"""The settings of every method, with the paper's values as defaults; free of PyTorch, so that `show` starts at once."""

from dataclasses import dataclass
from typing import Literal


def _at_least(bound: int, settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < bound:
            raise ValueError(f"{name}: must be at least {bound}")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """ResnetGenerator (Sec. 7.2)."""

    base_channels: int = 64  # width after the first layer, c7s1-64
    blocks: int = 9  # residual blocks: 9 at 256 px, 6 at 128 px
    downsamplings: int = 2
    upsampling: Literal["transposed", "resize"] = "transposed"
    norm: Literal["instance", "none"] = "instance"
    ends: Literal["conv7", "shuffle"] = "conv7"
    start: Literal["noise", "identity"] = "noise"

    def __post_init__(self) -> None:
        _at_least(1, self, "base_channels", "downsamplings")
        _at_least(0, self, "blocks")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """PatchDiscriminator (Sec. 7.2)."""

    base_channels: int = 64
    layers: int = 3  # 70×70 patches
    norm: Literal["instance", "spectral", "none"] = "instance"

    def __post_init__(self) -> None:
        _at_least(1, self, "base_channels", "layers")

    @property
    def smallest(self) -> int:
        """Pixels of a side that give a grid of 1×1 scores."""
        return 3 * 2**self.layers


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig:
    """CycleGAN (Zhu et al. 2017)."""

    name: Literal["cyclegan"] = "cyclegan"
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    lambda_cycle: float = 10.0  # λ of Eq. (3)
    lambda_identity: float = 0.5  # times λ; 0 switches the term off (Sec. 5.2)
    lambda_r1: float = 0.0  # R1 penalty on the discriminators; not in the paper
    r1_every: int = 16  # rounds between two penalties, which then count as many times
    buffer_size: int = 50  # past fakes shown to the discriminators (Sec. 4)

    def __post_init__(self) -> None:
        _at_least(1, self, "r1_every")
        _at_least(0, self, "lambda_cycle", "lambda_identity", "lambda_r1", "buffer_size")

    def require_fitting(self, crop_size: int) -> None:
        """Raise ValueError for crops that the networks cannot take or judge."""
        stride = 2**self.generator.downsamplings
        if crop_size % stride or crop_size < self.discriminator.smallest:
            needs = f"a multiple of {stride} and at least {self.discriminator.smallest}"
            raise ValueError(f"data: crop_size {crop_size} does not fit these networks; make it {needs}")


MethodConfig = CycleGANConfig
