"""Settings of generators and discriminators, with CycleGAN's values as defaults; free of PyTorch.

The networks themselves take plain numbers; networks/build.py passes them the values of these settings.
"""

from dataclasses import dataclass
from typing import Literal

Norm = Literal["instance", "batch", "layer", "group", "none"]
Init = Literal["normal", "xavier", "kaiming", "orthogonal"]  # normal: of 0.02, or He's where there is no norm
Downsampling = Literal["strided", "blur"]
Upsampling = Literal["transposed", "resize", "shuffle", "blur", "resize_zeros", "blur_zeros"]


def at_least(bound: int, settings: object, *names: str) -> None:
    """Raise ValueError with the name of the first field below the bound."""
    for name in names:
        if getattr(settings, name) < bound:
            raise ValueError(f"{name}: must be at least {bound}")


def at_most(bound: int, settings: object, *names: str) -> None:
    """Raise ValueError with the name of the first field above the bound."""
    for name in names:
        if getattr(settings, name) > bound:
            raise ValueError(f"{name}: must be at most {bound}")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Settings of ResnetGenerator (CycleGAN, Sec. 7.2)."""

    name: Literal["resnet"] = "resnet"
    base_channels: int = 64  # width after the first layer, c7s1-64
    blocks: int = 9  # residual blocks: 9 at 256 px, 6 at 128 px
    downsamplings: int = 2
    downsampling: Downsampling = "strided"
    upsampling: Upsampling = "transposed"
    norm: Norm = "instance"
    init: Init = "normal"
    stem: Literal["conv7", "shuffle"] = "conv7"  # first and last layer; shuffle: at half size, on 2×2 pixels at once
    residual_output: bool = False  # the output is a correction of the image, at first 0

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels", "downsamplings")
        at_least(0, self, "blocks")
        at_most(1024, self, "base_channels")
        at_most(100, self, "blocks")
        at_most(8, self, "downsamplings")
        if self.stem == "shuffle" and self.downsamplings == 1:
            for name, default in (("downsampling", "strided"), ("upsampling", "transposed")):
                if getattr(self, name) != default:
                    raise ValueError(f"{name}: is done by stem shuffle alone; take it out, or set downsamplings to 2")

    @property
    def stride(self) -> int:
        """Number of pixels of which the sides of an image must be a multiple."""
        return 2**self.downsamplings

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side."""
        return 2 * self.stride


@dataclass(frozen=True, kw_only=True)
class UnetConfig:
    """Settings of UnetGenerator (Isola et al. 2017)."""

    name: Literal["unet"] = "unet"
    base_channels: int = 64
    downsamplings: int = 8  # down to a single pixel: 8 at 256 px, 7 at 128 px
    downsampling: Downsampling = "strided"
    upsampling: Upsampling = "transposed"
    norm: Norm = "instance"
    init: Init = "normal"
    dropout: float = 0.0  # pix2pix: 0.5
    bias: Literal["auto", "always"] = "auto"  # of convolutions; auto: none before a batch norm. always: as in Torch

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels")
        at_least(2, self, "downsamplings")
        at_most(1024, self, "base_channels")
        at_most(10, self, "downsamplings")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout: must lie in 0…1, 1 excluded")

    @property
    def stride(self) -> int:
        """Number of pixels of which the sides of an image must be a multiple."""
        return 2**self.downsamplings

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side."""
        return self.stride


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Settings of PatchDiscriminator (CycleGAN, Sec. 7.2), or of one per scale."""

    base_channels: int = 64
    layers: int = 3  # 70×70 patches; 0: pixels
    scales: int = 1  # pix2pixHD: 3, each scoring a copy of half the size of the one before
    norm: Literal["instance", "batch", "layer", "group", "spectral", "none"] = "instance"
    init: Init = "normal"
    bias: Literal["auto", "always"] = "auto"  # of convolutions; auto: none before a batch norm

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels", "scales")
        at_least(0, self, "layers")
        at_most(1024, self, "base_channels")
        at_most(8, self, "layers", "scales")

    @property
    def smallest(self) -> int:
        """Length in pixels of a side that gives a grid of 1×1 scores.

        Without layers the grid is 2×2, because a norm needs more than one value.
        """
        return (3 * 2**self.layers if self.layers else 2) * 2 ** (self.scales - 1)
