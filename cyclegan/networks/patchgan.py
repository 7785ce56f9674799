"""PatchDiscriminator: scores overlapping patches of an image as real or fake; the 70×70 PatchGAN at three layers.

Paper      Zhu et al. 2017, Sec. 7.2: C64-C128-C256-C512, leaky ReLU of slope 0.2, no norm in the first layer.
Scores     (n, 3, h, w) → (n, 1, ⌊h/2^layers⌋ − 2, ⌊w/2^layers⌋ − 2), one per patch, unbounded, float32 also under
           autocast.
Numbers    2,764,737 parameters; 30×30 scores for 256 px; field of 16, 34, 70, 142 px at 1, 2, 3, 4 layers.
Differs    from the paper's text, as the authors' code does: C512 and the scoring convolution have stride 1; with
           the stride 2 that the text gives to every Ck the field would not be 70.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from cyclegan.networks.layers import initialize_, normalize
from cyclegan.protocols import Images


class PatchDiscriminator(nn.Module):
    """`layers` strided convolutions, one of stride 1, and a scoring one; all 4×4, zero padded by 1."""

    def __init__(self, *, base_channels: int = 64, layers: int = 3, norm: str = "instance") -> None:
        super().__init__()
        widths = [base_channels * min(2**i, 8) for i in range(layers + 1)]
        strides = [2] * (layers - 1) + [1]
        self.layers = nn.Sequential(
            nn.Conv2d(3, widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            *(_c(*ends, stride, norm) for ends, stride in zip(pairwise(widths), strides, strict=True)),
            nn.Conv2d(widths[-1], 1, 4, padding=1),
        )
        initialize_(self, norm)
        if norm == "spectral":
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, images: Images) -> Float[Tensor, "n 1 grid_h grid_w"]:
        """(n, 3, h, w) in [-1, 1] → one score per patch."""
        return self.layers(images).to(torch.promote_types(images.dtype, torch.float32))


def _c(channels: int, out_channels: int, stride: int, norm: str) -> nn.Sequential:
    """Ck: 4×4 convolution, instance norm, leaky ReLU."""
    conv = nn.Conv2d(channels, out_channels, 4, stride, padding=1)
    return nn.Sequential(conv, normalize(norm, out_channels), nn.LeakyReLU(0.2, inplace=True))
