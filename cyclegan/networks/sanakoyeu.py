"""Networks of adaptive style transfer: encoder and decoder of one style, a discriminator of several scales, pooling.

Paper      Sanakoyeu, Kotovenko, Lang, Ommer, A style-aware content loss for real-time HD style transfer, ECCV
           2018, arXiv:1807.10201, Sec. 3; sizes as in the authors' code.
Encoder    a norm of the image, reflection padding by 15, then 3×3 convolutions without padding of g, g, 2g, 4g,
           8g channels and strides 1, 2, 2, 2, 2: a code of 1/16 of each side.
Decoder    residual blocks of 8g; nearest ×2 and a 3×3 convolution of 8g, 4g, 2g, g; 7×7 to the image;
           2σ(x) − 1.
D          5×5 convolutions of stride 2: d, d, 2d, 4d, 4d, 8d, 8d channels; one score for each position of maps
           0, 1, 3, 5, 6, by kernels of 5, 10, 10, 6, 3.
Layers     No convolution has a bias; all but the last and the scoring ones are followed by an affine instance
           norm and a ReLU, of slope 0.2 in D. Weights: normal of 0.02, cut at two deviations; scales of norms
           1 ± 0.02.
Numbers    g = 32, 9 blocks: encoder 398,182 and decoder 11,608,608 parameters; d = 128: D 50,510,848.
Options    3 or 2 downsamplings, for small images: the last, or first and last, of the strides 2 are 1 then, and
           the padding fits. Fewer layers of D, each with the scores of its maps.
           block_relu: False leaves out the ReLU within a residual block, and input_norm: False the norm of the
           image, as the paper does.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, pad

from cyclegan.functional.precision import at_least_float32
from cyclegan.networks.layers import InstanceNorm, ReflectionPad
from cyclegan.protocols import AnyImages

WIDTHS = (1, 1, 2, 4, 8)  # of the encoder, in units of g
STRIDES = {  # downsamplings -> strides of the encoder, and the reflection padding with which sides come out whole
    4: ((1, 2, 2, 2, 2), 15),
    3: ((1, 2, 2, 2, 1), 14),
    2: ((1, 1, 2, 2, 1), 8),
}
SCORED = {0: 5, 1: 10, 3: 10, 5: 6, 6: 3}  # map of the discriminator -> side of the kernel that scores it
SCORED_WIDTHS = (1, 1, 2, 4, 4, 8, 8)  # of the discriminator, in units of d
POOLED = 10  # px of a side of the pooling window
DEVIATION = 0.02


class StyleGenerator(nn.Module):
    """Encoder and decoder of one style: G(x) = decoder(encoder(x))."""

    def __init__(
        self,
        channels: int = 3,
        *,
        base_channels: int = 32,
        blocks: int = 9,
        downsamplings: int = 4,
        input_norm: bool = True,
        block_relu: bool = True,
    ) -> None:
        super().__init__()
        strides, _ = STRIDES[downsamplings]
        self.stride = 2**downsamplings
        self.smallest = smallest_side(downsamplings)
        self.encoder = _encoder(channels, base_channels, downsamplings, input_norm)
        self.decoder = nn.Sequential(
            *(StyleBlock(8 * base_channels, block_relu) for _ in range(blocks)),
            *_upsampling([8 * base_channels, *(base_channels * width for width in WIDTHS[:0:-1])], strides[:0:-1]),
            *(ReflectionPad(3), nn.Conv2d(base_channels, channels, 7, bias=False)),
        )
        initialize_style_network_(self)

    def forward(self, images: AnyImages) -> AnyImages:
        """Translate images whose sides are multiples of `stride`: (n, c, h, w) → (n, c, h, w) in [-1, 1]."""
        return self.decode(self.encoder(images))

    def decode(self, code: Float[Tensor, "n _ _ _"]) -> AnyImages:
        """Decode a code (n, 8g, h, w) to images (n, c, stride · h, stride · w) in [-1, 1]."""
        return 2 * self.decoder(code).sigmoid() - 1


class StyleBlock(nn.Module):
    """Residual block x + IN(conv(ReLU(IN(conv(x))))), reflection padded; the ReLU may be left out."""

    def __init__(self, channels: int, relu: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=False), InstanceNorm(channels, affine=True)),
            nn.ReLU() if relu else nn.Identity(),
            *(ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=False), InstanceNorm(channels, affine=True)),
        )

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Compute the block: (n, c, h, w) → (n, c, h, w)."""
        return features + self.body(features)


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded with zeros so that n positions become ⌈n / stride⌉.

    An odd amount of padding puts the larger half behind, as TensorFlow's SAME does.
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, out_channels, kernel, stride, bias=False)

    def forward(self, features: Float[Tensor, "n _ _ _"]) -> Float[Tensor, "n _ _ _"]:
        """Convolve: (n, c, h, w) → (n, c', ⌈h / stride⌉, ⌈w / stride⌉)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        frame: list[int] = []
        for side in reversed(features.shape[2:]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            frame += [total // 2, total - total // 2]
        return super().forward(pad(features, frame))


class ScaleDiscriminator(nn.Module):
    """Discriminator that scores the positions of several of its maps."""

    def __init__(self, channels: int = 3, *, base_channels: int = 128, layers: int = 7) -> None:
        super().__init__()
        widths = [channels, *(base_channels * width for width in SCORED_WIDTHS[:layers])]
        self.layers = nn.ModuleList(
            nn.Sequential(SameConv2d(widths[i], widths[i + 1], 5, 2), InstanceNorm(widths[i + 1], affine=True))
            for i in range(layers)
        )
        self.heads = nn.ModuleDict(
            {str(i): SameConv2d(widths[i + 1], 1, kernel) for i, kernel in SCORED.items() if i < layers}
        )
        initialize_style_network_(self)

    def forward(self, images: AnyImages) -> list[Float[Tensor, "n 1 _ _"]]:
        """Score images (n, c, h, w): one map of scores for each scale, in float32 or better."""
        scores, features = [], images
        for i, layer in enumerate(self.layers):
            features = nn.functional.leaky_relu(layer(features), 0.2)
            if str(i) in self.heads:
                scores.append(self.heads[str(i)](features))
        return [at_least_float32(score) for score in scores]


class LearnedPooling(nn.Module):
    """Weighted average of 10×10 pixels of each channel; the magnitudes of the weights sum to 1, at first equal."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, POOLED, POOLED))

    def forward(self, images: AnyImages) -> Float[Tensor, "n _ rows columns"]:
        """Pool with stride 1: (n, c, h, w) → (n, c, h − 9, w − 9)."""
        kernel = self.weight / self.weight.abs().sum(dim=(2, 3), keepdim=True)
        return conv2d(images, kernel.to(images.dtype), groups=len(kernel))


class AveragePooling(nn.Module):
    """Average of 10×10 pixels of each channel."""

    def forward(self, images: AnyImages) -> Float[Tensor, "n _ rows columns"]:
        """Pool with stride 1: (n, c, h, w) → (n, c, h − 9, w − 9)."""
        return avg_pool2d(images, POOLED, stride=1)


def smallest_side(downsamplings: int) -> int:
    """Return the smallest side in pixels: a multiple of the stride, beyond the padding, with a code of 2×2 or more."""
    stride, padding = 2**downsamplings, STRIDES[downsamplings][1]
    return max(2 * stride, (padding // stride + 1) * stride)


def initialize_style_network_(network: nn.Module) -> None:
    """Draw the weights of convolutions from a normal of 0.02, cut at two deviations, and scales from N(1, 0.02²)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=DEVIATION, a=-2 * DEVIATION, b=2 * DEVIATION)
        elif isinstance(module, InstanceNorm):
            nn.init.normal_(module.weight, 1.0, DEVIATION)


def _encoder(channels: int, base_channels: int, downsamplings: int, input_norm: bool) -> nn.Sequential:
    strides, padding = STRIDES[downsamplings]
    widths = [channels, *(base_channels * width for width in WIDTHS)]
    layers: list[nn.Module] = [InstanceNorm(channels, affine=True)] if input_norm else []
    layers.append(ReflectionPad(padding))
    for i, stride in enumerate(strides):
        convolution = nn.Conv2d(widths[i], widths[i + 1], 3, stride, bias=False)
        layers += [convolution, InstanceNorm(widths[i + 1], affine=True), nn.ReLU()]
    return nn.Sequential(*layers)


def _upsampling(widths: list[int], strides: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, stride in enumerate(strides):
        layers += [nn.Upsample(scale_factor=stride)] if stride > 1 else []
        convolution = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=False)
        layers += [convolution, InstanceNorm(widths[i + 1], affine=True), nn.ReLU()]
    return layers
