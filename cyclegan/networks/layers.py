"""Building blocks of the generators and the discriminators: residual block, up-sampling, initialization.

Every convolution before an instance norm keeps its bias, although the norm removes it: so the parameters are
those of the published networks, one for one, and released weights fit.
"""

from torch import Tensor, nn


class ResnetBlock(nn.Module):
    """Rk: x + IN(conv3(ReLU(IN(conv3(x))))), reflection padded; no ReLU after the sum (CycleGAN, Sec. 7.2)."""

    def __init__(self, channels: int, norm: str = "instance") -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), normalize(norm, channels), nn.ReLU()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), normalize(norm, channels)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        return features + self.body(features)


def normalize(kind: str, channels: int) -> nn.Module:
    """`instance`: zero mean, unit variance in each channel of each image, not affine. Otherwise nothing is done."""
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def upsample(channels: int, out_channels: int, kind: str, norm: str = "instance") -> nn.Sequential:
    """uk: twice the height and width. `transposed` is the paper's; `resize` (nearest, conv3) draws no checkerboard."""
    grow: list[nn.Module]
    if kind == "transposed":
        grow = [nn.ConvTranspose2d(channels, out_channels, 3, stride=2, padding=1, output_padding=1)]
    else:
        grow = [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(channels, out_channels, 3)]
    return nn.Sequential(*grow, normalize(norm, out_channels), nn.ReLU())


def initialize_(network: nn.Module, norm: str, last_std: float = 0.02) -> None:
    """Weights of all convolutions from N(0, 0.02²), biases 0 (CycleGAN, Sec. 7.1).

    Without instance norms nothing rescales the features of such small weights: there all but the last convolution
    get He's variance (He et al. 2015, Eq. 10), and every residual branch starts at a tenth, so that the sum does not
    grow with depth.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    branch_ends = {block.body[5] for block in network.modules() if isinstance(block, ResnetBlock)}
    for layer in convolutions:
        if layer is convolutions[-1]:
            nn.init.normal_(layer.weight, 0.0, last_std)
        elif norm == "instance":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if norm != "instance" and layer in branch_ends:
            layer.weight.data.mul_(0.1)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
