"""ResnetGenerator: the image-to-image network of CycleGAN, after Johnson et al. 2016.

Paper      Zhu et al. 2017 (arXiv:1703.10593), Sec. 7.2: c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3.
Images     (n, in, h, w) in [-1, 1] → (n, out, h, w); h and w multiples of `stride` = 2^downsamplings.
Numbers    7,837,699 parameters with 6 blocks, 11,378,179 with 9.
Differs    from the paper's text, as the authors' code does: the last layer has no norm and ends in tanh; the
           strided convolutions are zero padded, all others reflection padded.
           `downsampling: blur` and three kinds of `upsampling` produce no checkerboards
           (cyclegan.networks.resampling). Two options of ours, off by default, make a small network fast
           enough for a CPU. `stem: shuffle` replaces the two 7×7 convolutions at full size by 3×3 ones on 2×2
           pixels at once; they include the first down-sampling and the last up-sampling. `residual_output`
           adds the output to the input before the tanh, so that an untrained network copies; it requires as
           many input channels as output channels.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn, tanh

from cyclegan.networks.initialization import initialize_
from cyclegan.networks.layers import ReflectionPad, ResnetBlock, has_bias, normalize
from cyclegan.networks.resampling import BlurPool, upsample

SATURATION = 0.98  # atanh(±1) is infinite: a copied input keeps this share of its range


class ResnetGenerator(nn.Module):
    """Generator that down-samples, transforms by residual blocks, and up-samples."""

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        blocks: int = 9,
        downsamplings: int = 2,
        downsampling: str = "strided",
        upsampling: str = "transposed",
        norm: str = "instance",
        init: str = "normal",
        stem: str = "conv7",
        residual_output: bool = False,
    ) -> None:
        super().__init__()
        if residual_output and in_channels != out_channels:
            raise ValueError(
                f"residual_output: needs as many channels of output as of input, not {out_channels} and {in_channels}"
            )
        self.stride = 2**downsamplings
        self.smallest = 2 * self.stride  # residual blocks reflect at the borders, which takes 2×2 features
        self.feature_layers = {0, max(blocks - 1, 0) // 2}  # by `encode`
        self.residual_output = residual_output
        shuffled = stem == "shuffle"
        widths = [base_channels * 2**i for i in range(1 if shuffled else 0, downsamplings + 1)]
        self.feature_channels = (in_channels, *widths[1:], *[widths[-1]] * len(self.feature_layers))
        last = widths[0], out_channels
        self.layers = nn.Sequential(
            *(_shuffle_stem if shuffled else _conv7_stem)(in_channels, widths[0], norm),
            *(_down(narrow, wide, norm, downsampling) for narrow, wide in pairwise(widths)),
            *(ResnetBlock(widths[-1], norm) for _ in range(blocks)),
            *(upsample(wide, narrow, upsampling, norm, narrow > widths[0]) for wide, narrow in pairwise(widths[::-1])),
            *(_shuffle_head(*last, relu=len(widths) > 1) if shuffled else _conv7_head(*last)),
        )
        initialize_(self, norm, init, zero_last=self.residual_output)

    def forward(self, images: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h w"]:
        """Translate images: (n, in, h, w) → (n, out, h, w), both in [-1, 1]."""
        weight = next(self.parameters())  # a frozen copy may compute in a lower precision than that of its images
        drawn: Float[Tensor, "n out h w"] = self.layers(images.to(weight.dtype)).to(images.dtype)
        if self.residual_output:
            drawn = drawn + (SATURATION * images).atanh()
        return tanh(drawn)

    def encode(self, images: Float[Tensor, "n in h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Return the features that CUT compares.

        They are the image, every down-sampling, the first residual block and the middle one.
        """
        blocks = [i for i, layer in enumerate(self.layers) if isinstance(layer, ResnetBlock)]
        taps = {i for i in range(blocks[0]) if isinstance(self.layers[i], nn.Sequential)}
        taps |= {blocks[k] for k in self.feature_layers}
        features, found = images, [images]
        for i, layer in enumerate(self.layers[: max(taps) + 1]):
            features = layer(features)
            found += [features] * (i in taps)
        return found


def _conv7_stem(in_channels: int, channels: int, norm: str) -> list[nn.Module]:
    """Build c7s1-k."""
    conv = nn.Conv2d(in_channels, channels, 7, bias=has_bias(norm))
    return [ReflectionPad(3), conv, normalize(norm, channels), nn.ReLU(inplace=True)]


def _conv7_head(channels: int, out_channels: int) -> list[nn.Module]:
    """Build c7s1-3, without norm and activation; the ReLU belongs to the layer before."""
    return [_pad_and_relu(3), nn.Conv2d(channels, out_channels, 7)]


def _shuffle_stem(in_channels: int, channels: int, norm: str) -> list[nn.Module]:
    """Build a first layer that turns 2×2 pixels into one of four times the channels, twelve for RGB."""
    conv = nn.Conv2d(4 * in_channels, channels, 3, bias=has_bias(norm))
    return [nn.PixelUnshuffle(2), ReflectionPad(1), conv, normalize(norm, channels), nn.ReLU(inplace=True)]


def _shuffle_head(channels: int, out_channels: int, relu: bool) -> list[nn.Module]:
    """Build a last layer that reverses the stem, without norm and activation.

    A ReLU belongs to the layer before.
    """
    return [
        _pad_and_relu(1) if relu else ReflectionPad(1),
        nn.Conv2d(channels, 4 * out_channels, 3),
        nn.PixelShuffle(2),
    ]


def _pad_and_relu(padding: int) -> nn.Sequential:
    """Build padding followed by ReLU; in this order they keep one tensor for the gradient instead of two."""
    return nn.Sequential(ReflectionPad(padding), nn.ReLU(inplace=True))


def _down(channels: int, out_channels: int, norm: str, downsampling: str) -> nn.Sequential:
    """Build dk: half the height and width, zero padded."""
    blurred = downsampling == "blur"
    conv = nn.Conv2d(channels, out_channels, 3, stride=1 if blurred else 2, padding=1, bias=has_bias(norm))
    return nn.Sequential(conv, normalize(norm, out_channels), nn.ReLU(inplace=True), *[BlurPool()] * blurred)
