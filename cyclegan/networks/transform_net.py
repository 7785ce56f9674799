"""TransformNet: the feed-forward network of fast style transfer, in the variants of several authors.

Paper      Johnson, Alahi, Fei-Fei 2016, supplement: c9s1-32, d64, d128, R128 × 5, u64, u32, c9s1-3.
Images     (n, 3, h, w) in [−1, 1] → the same; h and w multiples of 4. In evaluation the result is clamped.
Numbers    1,679,235 parameters; 424,899 at half the width (the released models with instance norms).
Padding    start: reflect the image by 8 px per block once; residual blocks are unpadded and their skips cropped,
           all else is zero padded (fast-neural-style) · reflect, replicate, circular, zero: before each
           convolution · same: TensorFlow's, one pixel less before a stride of 2 (fast-style-transfer).
Range      Inside, images are levels 0…255. Input: mean, less the mean that Caffe's VGG subtracts; levels; unit,
           0…1. Output z of the last layer: tanh150_mean, 150 tanh z + mean; tanh150, 150 tanh z + 127.5; mean,
           z + mean; levels, z; sigmoid, 255 σ(z); tanh, 127.5 (tanh z + 1). Except for the last two, values
           may leave 0…255.
Variants   jcjohnson/fast-neural-style: the defaults with norm instance, base_channels 16 · pytorch/examples:
           reflect, resize, instance, input and output levels · lengstrom/fast-style-transfer: same, no bias,
           last_norm, eps 1e-3, input levels, output tanh150: 1,677,638 parameters · texture_nets: replicate,
           last_kernel 3, input unit, output mean: 1,672,323.
Differs    Channels are red, green, blue everywhere, a permutation of the first and the last weights of the Torch
           code. Gains of norms start at 1; there, in U(0, 1).
"""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cyclegan.networks.layers import InstanceNorm, ReflectionPad
from cyclegan.networks.vgg import CAFFE_MEAN, HALF_RANGE
from cyclegan.protocols import Images

MEAN = tuple(reversed(CAFFE_MEAN))  # of red, green and blue
PADDINGS = {"reflect": ReflectionPad, "replicate": nn.ReplicationPad2d, "circular": nn.CircularPad2d}
INPUTS = {  # of an image in −1…1: factor, summands of red, green and blue
    "mean": (HALF_RANGE, tuple(HALF_RANGE - mean for mean in MEAN)),
    "levels": (HALF_RANGE, (HALF_RANGE,) * 3),
    "unit": (0.5, (0.5,) * 3),
}


class TransformNet(nn.Module):
    """Network from images to images: down by 4, residual blocks, up by 4."""

    def __init__(
        self,
        *,
        base_channels: int = 32,
        blocks: int = 5,
        norm: str = "batch",
        padding: str = "start",
        upsampling: str = "transposed",
        last_kernel: int = 9,
        bias: bool = True,
        last_norm: bool = False,
        eps: float = 1e-5,
        input: str = "mean",
        output: str = "tanh150_mean",
    ) -> None:
        super().__init__()
        a, b, c = base_channels, 2 * base_channels, 4 * base_channels
        self.stride = 4
        self.input, self.output = input, output
        make = LayerMaker("zero" if padding == "start" else padding, norm, bias, eps)
        self.layers = nn.Sequential(
            *[ReflectionPad(8 * blocks)] * (padding == "start" and blocks > 0),
            *make.convolution(3, a, 9),
            *make.convolution(a, b, 3, stride=2),
            *make.convolution(b, c, 3, stride=2),
            *(ResidualBlock(make, c, valid=padding == "start") for _ in range(blocks)),
            *make.larger(c, b, upsampling),
            *make.larger(b, a, upsampling),
            *make.convolution(a, 3, last_kernel, last=True),
            *[make.normalize(3)] * last_norm,
        )
        _initialize(self)

    def forward(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) in [−1, 1] → the same, clamped in evaluation."""
        factor, summands = INPUTS[self.input]
        weight = next(self.parameters())  # a frozen copy may compute in a lower precision than that of its images
        drawn = self.layers(add_to_channels(factor * images, summands).to(weight.dtype)).to(images.dtype)
        painted = _to_range(drawn, self.output)
        return painted if self.training else painted.clamp(-1, 1)


class ResidualBlock(nn.Module):
    """Rk: x + norm(conv3(ReLU(norm(conv3(x))))), no ReLU after the sum.

    valid  No padding: the result, and with it the skip, is smaller by 2 positions on each side.
    """

    recompute = False  # in training, keep only the input and compute the rest again for the gradient

    def __init__(self, make: "LayerMaker", channels: int, valid: bool = False) -> None:
        super().__init__()
        first = make.convolution(channels, channels, 3, valid=valid)
        second = make.convolution(channels, channels, 3, valid=valid, last=True)
        self.body = nn.Sequential(*first, *second, make.normalize(channels))
        self.crop = 2 if valid else 0

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        """Compute the block: (n, c, h, w) → the same, or (n, c, h − 4, w − 4)."""
        height, width = features.shape[2:]
        skip = features[..., self.crop : height - self.crop, self.crop : width - self.crop]
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.body, features, use_reentrant=False) + skip
        return self.body(features) + skip


class LayerMaker:
    """Maker of layers with common options: padding, norm, bias, eps of instance norms, slope below 0."""

    def __init__(self, padding: str, norm: str, bias: bool = True, eps: float = 1e-5, slope: float = 0.0) -> None:
        self.padding, self.norm, self.bias, self.eps, self.slope = padding, norm, bias, eps, slope

    def convolution(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, valid: bool = False, last: bool = False
    ) -> list[nn.Module]:
        """Return padding, convolution, norm and ReLU; `last`: neither norm nor ReLU."""
        side, pads = kernel // 2, []
        if not valid and side and self.padding in PADDINGS:
            pads = [PADDINGS[self.padding](side)]
        elif not valid:
            before = side - 1 if self.padding == "same" and stride == 2 else side
            pads = [nn.ZeroPad2d((before, side, before, side))] if before < side else []
        zeros = side if not valid and not pads else 0
        conv = nn.Conv2d(channels, out, kernel, stride, padding=zeros, bias=self.bias)
        return [*pads, conv, *([] if last else self.after(out))]

    def larger(self, channels: int, out: int, upsampling: str) -> list[nn.Module]:
        """Return the layers that double height and width, with norm and ReLU."""
        if upsampling == "resize":
            return [nn.Upsample(scale_factor=2), *self.convolution(channels, out, 3)]
        if self.padding == "same":
            return [nn.ConvTranspose2d(channels, out, 3, 2, bias=self.bias), _WithoutLast(), *self.after(out)]
        conv = nn.ConvTranspose2d(channels, out, 3, 2, padding=1, output_padding=1, bias=self.bias)
        return [conv, *self.after(out)]

    def after(self, channels: int) -> list[nn.Module]:
        """Return norm and ReLU, or leaky ReLU."""
        relu = nn.LeakyReLU(self.slope, inplace=True) if self.slope else nn.ReLU(inplace=True)
        return [self.normalize(channels), relu]

    def normalize(self, channels: int) -> nn.Module:
        """Return an affine norm."""
        if self.norm == "batch":
            return nn.BatchNorm2d(channels)
        return InstanceNorm(channels, eps=self.eps, affine=True) if self.norm == "instance" else nn.Identity()


class _WithoutLast(nn.Module):
    """Crop of the last row and column: TensorFlow's SAME for transposed convolutions of stride 2."""

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        return features[..., :-1, :-1]


def add_to_channels(images: Images, summands: tuple[float, ...]) -> Images:
    """Add a number to each channel; numbers instead of a buffer keep their precision in a copy in bfloat16."""
    if len(set(summands)) == 1:
        return images + summands[0]
    return torch.cat([images[:, i : i + 1] + summand for i, summand in enumerate(summands)], dim=1)


def _to_range(drawn: Images, output: str) -> Images:
    """Convert what the last layer gives to [−1, 1]."""
    match output:
        case "sigmoid":
            return 2 * drawn.sigmoid() - 1
        case "tanh":
            return drawn.tanh()
        case "tanh150":
            return 150 / HALF_RANGE * drawn.tanh()
        case "levels":
            return drawn / HALF_RANGE - 1
    levels = 150 * drawn.tanh() if output == "tanh150_mean" else drawn
    return add_to_channels(levels, MEAN) / HALF_RANGE - 1


def _initialize(network: nn.Module) -> None:
    """Fill weights and biases from U(±1/√fan_in), as Torch does."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / sqrt(layer.in_channels * layer.kernel_size[0] ** 2)
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound)
