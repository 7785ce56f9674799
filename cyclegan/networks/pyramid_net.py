"""PyramidNet: the generator of texture networks, which joins noise, and an image, from coarse to fine.

Paper      Ulyanov, Lebedev, Vedaldi, Lempitsky, Texture networks: feed-forward synthesis of textures and stylized
           images, ICML 2016, Fig. 2; the layers of branch texture_nets_v1 of the authors' code.
Computes   per level i = 1 (coarsest) … L: a branch of conv3, conv3, conv1 with 8 channels from the inputs at
           this size; for i > 1 the norms of the branch and of the coarser result, repeated 2×2, are joined to
           8 i channels: conv3, conv3, conv1. Last: conv1 to RGB. Each convolution but the last is padded
           and followed by norm and leaky ReLU.
Inputs     noise U(0, 1) at every size, beside it the image 0…1, averaged to that size.
Images     (n, 3, h, w) in [−1, 1] → the same; h and w multiples of 2^(L − 1). Without image among the inputs, only
           its size matters. The output is levels less Caffe's mean, without activation; clamped in evaluation.
Numbers    noise alone 71,659 parameters with 5 levels, 116,915 with 6; noise and image 72,739 and 118,211.
Variants   2016: circular padding, batch norms, slope 0.01. 2017: instance norms, slope 0, padding replicate, and
           no noise where images are stylized.
Noise      If none is given, as in evaluation, it is a fixed function of the place, so that an image always
           becomes the same.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from cyclegan.networks.transform_net import MEAN, LayerMaker, add_to_channels
from cyclegan.networks.vgg import HALF_RANGE
from cyclegan.protocols import Images

CHANNELS = 8  # of a branch
PRIME = 2**31 - 1  # numbers below it can be multiplied in 64 bits

Noise = Sequence[Float[Tensor, "n _ _ _"]]  # of every level, the coarsest first


class PyramidNet(nn.Module):
    """Generator of textures, or of stylized images, at L sizes."""

    def __init__(
        self,
        *,
        levels: int = 6,
        image: bool = True,
        noise: int = 3,
        norm: str = "batch",
        padding: str = "circular",
        slope: float = 0.01,
    ) -> None:
        super().__init__()
        self.levels, self.image, self.noise = levels, image, noise
        self.stride = 2 ** (levels - 1)
        make = LayerMaker(padding, norm, slope=slope)
        given = noise + 3 * image
        self.branches = nn.ModuleList(_three(make, given, CHANNELS) for _ in range(levels))
        widths = [CHANNELS * i for i in range(2, levels + 1)]
        self.branch_norms = nn.ModuleList(make.normalize(CHANNELS) for _ in widths)
        self.coarse_norms = nn.ModuleList(make.normalize(width - CHANNELS) for width in widths)
        self.joined = nn.ModuleList(_three(make, width, width) for width in widths)
        self.last = nn.Conv2d(CHANNELS * levels, 3, 1)

    def forward(self, images: Images, noise: Noise | None = None) -> Images:
        """Generate an image for each: (n, 3, h, w) in [−1, 1] → the same, unclamped in training."""
        weight = self.last.weight  # a frozen copy may compute in a lower precision than that of its images
        noise = self.fixed_noise(images) if noise is None else noise
        branches = [
            branch(given.to(weight.dtype))
            for branch, given in zip(self.branches, self._inputs(images, noise), strict=True)
        ]
        result = branches[0]
        for i, joined in enumerate(self.joined):
            larger = interpolate(result, scale_factor=2)
            result = joined(torch.cat([self.branch_norms[i](branches[i + 1]), self.coarse_norms[i](larger)], dim=1))
        painted = add_to_channels(self.last(result).to(images.dtype), MEAN) / HALF_RANGE - 1
        return painted if self.training else painted.clamp(-1, 1)

    def noise_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Return (channels, h, w) of the noise of every level, the coarsest first."""
        return [(self.noise, height >> k, width >> k) for k in reversed(range(self.levels))]

    def fixed_noise(self, images: Images) -> Noise:
        """Return noise that depends on nothing but the place, channel and level."""
        shapes = self.noise_shapes(*images.shape[2:])
        return [scrambled(shape, level, images).expand(len(images), -1, -1, -1) for level, shape in enumerate(shapes)]

    def _inputs(self, images: Images, noise: Noise) -> list[Float[Tensor, "n _ _ _"]]:
        inputs = []
        for level, drawn in enumerate(noise):
            parts = [drawn] * (self.noise > 0)
            if self.image:
                parts.append(avg_pool2d((images + 1) / 2, 2 ** (self.levels - 1 - level)))
            inputs.append(torch.cat(parts, dim=1))
        return inputs


def scrambled(shape: tuple[int, int, int], level: int, like: Tensor) -> Float[Tensor, "1 c h w"]:
    """Return numbers in [0, 1) that look random: (c, h, w) → (1, c, h, w), by integer arithmetic, exact anywhere."""
    channels, height, width = (torch.arange(size, device=like.device) for size in shape)
    place = 73_856_093 * width + 19_349_663 * height[:, None]
    numbers = (place + 83_492_791 * (channels + 1 + 1_000 * level)[:, None, None]) % PRIME
    for _ in range(3):
        numbers = (48_271 * numbers + numbers * numbers % PRIME + 12_345) % PRIME
    return (numbers.to(torch.float64) / PRIME).to(like.dtype)[None]


def _three(make: LayerMaker, given: int, made: int) -> nn.Sequential:
    """Build conv3, conv3, conv1, each padded and with norm and activation."""
    return nn.Sequential(
        *make.convolution(given, made, 3), *make.convolution(made, made, 3), *make.convolution(made, made, 1)
    )
