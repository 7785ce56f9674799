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
class TransformNetConfig:
    """Settings of TransformNet (Johnson et al. 2016), by default those of the paper."""

    name: Literal["transform"] = "transform"
    base_channels: int = 32  # widths of the first three layers: this, twice and four times this
    blocks: int = 5  # residual blocks
    norm: Literal["batch", "instance", "none"] = "batch"  # all affine
    padding: Literal["start", "reflect", "replicate", "circular", "zero", "same"] = "start"  # networks/transform_net.py
    upsampling: Literal["transposed", "resize"] = "transposed"  # resize: repeat pixels, then conv3
    last_kernel: int = 9  # of the last convolution; texture_nets: 3
    bias: bool = True  # of convolutions
    last_norm: bool = False  # after the last convolution, too
    eps: float = 1e-5  # of instance norms
    input: Literal["mean", "levels", "unit"] = "mean"  # 0…255 less Caffe's mean; 0…255; 0…1
    output: Literal["tanh150_mean", "tanh150", "mean", "levels", "sigmoid", "tanh"] = "tanh150_mean"

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels")
        at_least(0, self, "blocks")
        at_most(1024, self, "base_channels")
        at_most(100, self, "blocks")
        if self.last_kernel not in (3, 5, 7, 9):
            raise ValueError("last_kernel: must be 3, 5, 7 or 9")
        if not self.eps > 0:
            raise ValueError("eps: must be above 0")

    @property
    def stride(self) -> int:
        """Number of pixels of which the sides of an image must be a multiple."""
        return 4

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side: one that can be reflected as far as `start` asks for."""
        return max(8, 8 * self.blocks + 4 if self.padding == "start" else 0)


@dataclass(frozen=True, kw_only=True)
class PyramidConfig:
    """Settings of PyramidNet (Ulyanov et al. 2016), by default those for stylized images."""

    name: Literal["pyramid"] = "pyramid"
    levels: int = 6  # sizes, each half of the next
    image: bool = True  # among the inputs; false: a texture, from noise alone
    noise: int = 3  # channels of noise at every size
    norm: Literal["batch", "instance", "none"] = "batch"  # all affine
    padding: Literal["circular", "replicate", "reflect", "zero"] = "circular"
    slope: float = 0.01  # of leaky ReLUs; 0: ReLUs

    def __post_init__(self) -> None:
        at_least(1, self, "levels")
        at_most(10, self, "levels")
        at_least(0, self, "noise", "slope")
        at_most(64, self, "noise")
        if not self.noise and not self.image:
            raise ValueError("noise: must be at least 1 without the image, or there is no input")

    @property
    def stride(self) -> int:
        """Number of pixels of which the sides of an image must be a multiple."""
        return 2 ** (self.levels - 1)

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side: 2×2 at the coarsest size, as a norm needs more than one value."""
        return 2 * self.stride


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
