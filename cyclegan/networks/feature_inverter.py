"""FeatureInverter: features of VGG-19's relu3_1 back to images, the inverse network of style swap.

Paper      Chen, Schmidt, Fast patch-based style transfer of arbitrary style, 2016, arXiv:1612.04337, Sec. 4
           and the appendix.
Layers     256-128, ×2, 128-128, 128-64, ×2, 64-64, 64-3; all 3×3 and zero padded; a norm and a ReLU after each
           but the last; ×2 is nearest neighbor. Weights start orthogonal, with the gain of a ReLU.
Images     (n, 256, h, w) → (n, 3, 4h, 4w), RGB in [-1, 1]; with the output `linear` unbounded.
Numbers    555,843 parameters with a norm, 555,075 without.
Options    norm: `batch` as in the authors' code; `instance`, as their released decoder, which normalizes every
           image by itself; `none`. output: `linear` as in the code; `sigmoid`, 2σ(x) − 1, as the released one.
           feature_scale: the input is divided by it, which keeps the first steps small where there is no norm.
Differs    from the authors' released decoder, which has transposed convolutions and 37 layers in all; the paper
           has nearest-neighbor upsampling.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.networks.layers import InstanceNorm

WIDTHS = (256, 128, 128, 64, 64)  # of the features and after each convolution but the last
UPSAMPLED = (0, 2)  # convolutions that are followed by ×2
RELU_GAIN = 2**0.5


class FeatureInverter(nn.Sequential):
    """Decoder of relu3_1, with a norm of choice."""

    def __init__(self, norm: str = "instance", output: str = "sigmoid", feature_scale: float = 1.0) -> None:
        super().__init__()
        self.output, self.feature_scale = output, feature_scale
        for i, (channels, out_channels) in enumerate(pairwise(WIDTHS)):
            self.extend([nn.Conv2d(channels, out_channels, 3, padding=1), _norm(norm, out_channels), nn.ReLU()])
            if i in UPSAMPLED:
                self.append(nn.Upsample(scale_factor=2))
        self.append(nn.Conv2d(WIDTHS[-1], 3, 3, padding=1))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.orthogonal_(layer.weight, gain=RELU_GAIN)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Float[Tensor, "n 256 h w"]) -> Float[Tensor, "n 3 H W"]:
        """Decode features: (n, 256, h, w) → (n, 3, 4h, 4w)."""
        images = super().forward(features / self.feature_scale)
        return 2 * images.sigmoid() - 1 if self.output == "sigmoid" else images


def _norm(kind: str, channels: int) -> nn.Module:
    match kind:
        case "instance":
            return InstanceNorm(channels, affine=True)
        case "batch":
            return nn.BatchNorm2d(channels)
    return nn.Identity()
