"""Discriminators that score every patch of an image as real or fake; the 70×70 PatchGAN at three layers.

Paper      Zhu et al. 2017, Sec. 7.2: C64-C128-C256-C512, leaky ReLU of slope 0.2, no norm in the first layer.
           Without layers the PixelGAN of Isola et al. 2017, Sec. 6.1.2: C64-C128 of 1×1, which scores every
           pixel separately. Several scales as in pix2pixHD (Wang et al. 2018, Sec. 3.2): one discriminator
           for the image, one for a copy of half the size …, each with a field twice as wide as the one
           before.
Scores     (n, c, h, w) → (n, scales, ⌊h/2^layers⌋ − 2, ⌊w/2^layers⌋ − 2), one per patch, or (n, scales, h, w)
           for pixels; unbounded, float32 also under autocast.
Numbers    2,764,737 parameters; 30×30 scores for 256 px; field of 1, 16, 34, 70, 142 px at 0, 1, 2, 3, 4
           layers.
Differs    from the paper's text, as the authors' code does: C512 and the scoring convolution have stride 1;
           with the stride 2 that the text gives to every Ck the field would not be 70.
           From pix2pixHD: its losses add up the scales, and average the patches of each. Here every position
           of the finest grid has one score per scale, that of the nearest patch. Any loss or penalty that is
           a mean over scores is therefore the mean over the scales of its mean over the positions.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

from cyclegan.networks.initialization import initialize_
from cyclegan.networks.layers import has_bias, normalize
from cyclegan.protocols import AnyImages


class PatchDiscriminator(nn.Module):
    """Discriminator of `layers` strided convolutions, one of stride 1, and a scoring one.

    All are 4×4 and zero padded by 1; with 0 layers they are 1×1.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        base_channels: int = 64,
        layers: int = 3,
        norm: str = "instance",
        init: str = "normal",
        bias: str = "auto",
    ) -> None:
        super().__init__()
        widths = [base_channels * min(2**i, 8) for i in range(max(layers, 1) + 1)]
        strides = [2] * (layers - 1) + [1]
        kernel = {"kernel_size": 4, "padding": 1} if layers else {"kernel_size": 1}
        biased = bias == "always" or has_bias(norm)
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], stride=2 if layers else 1, **kernel),  # type: ignore[arg-type]
            nn.LeakyReLU(0.2, inplace=True),
            *(
                _c(*ends, norm, biased, stride=stride, **kernel)
                for ends, stride in zip(pairwise(widths), strides, strict=True)
            ),
            nn.Conv2d(widths[-1], 1, **kernel),  # type: ignore[arg-type]
        )
        initialize_(self, norm, init)
        if norm == "spectral":
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, images: AnyImages) -> Float[Tensor, "n 1 grid_h grid_w"]:
        """Score the patches of images (n, c, h, w) in [-1, 1]: one score per patch."""
        return self.layers(images).to(torch.promote_types(images.dtype, torch.float32))


class MultiscaleDiscriminator(nn.Module):
    """Set of PatchDiscriminators for several scales, each half the size of the one before."""

    def __init__(self, *, scales: int = 2, **options: Any) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(**options) for _ in range(scales))

    def forward(self, images: AnyImages) -> Float[Tensor, "n scales grid_h grid_w"]:
        """Score images (n, c, h, w) in [-1, 1]: one score per scale at every position of the finest grid."""
        finest = self.scales[0](images)
        scores = [finest]
        for discriminator in self.scales[1:]:
            images = avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)  # pix2pixHD's
            scores.append(interpolate(discriminator(images), finest.shape[2:], mode="nearest-exact"))
        return torch.cat(scores, dim=1)


def _c(channels: int, out_channels: int, norm: str, bias: bool, **shape: int) -> nn.Sequential:
    """Build Ck: convolution, norm, leaky ReLU."""
    conv = nn.Conv2d(channels, out_channels, bias=bias, **shape)  # type: ignore[arg-type]
    return nn.Sequential(conv, normalize(norm, out_channels), nn.LeakyReLU(0.2, inplace=True))
