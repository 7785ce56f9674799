"""Initial weights of generators and discriminators."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from cyclegan.networks.layers import ResnetBlock
from cyclegan.networks.resampling import SubpixelConv

INITIALIZERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "normal": partial(nn.init.normal_, mean=0.0, std=0.02),  # CycleGAN, Sec. 7.1; pix2pix, Sec. 6.2
    "xavier": nn.init.xavier_normal_,  # Glorot & Bengio 2010, Eq. 12
    "kaiming": partial(nn.init.kaiming_normal_, nonlinearity="relu"),  # He et al. 2015, Eq. 10
    "orthogonal": nn.init.orthogonal_,  # Saxe et al. 2014
}
NORMS = ("instance", "batch", "layer", "group")


def initialize_(network: nn.Module, norm: str, init: str = "normal", *, zero_last: bool = False) -> None:
    """Initialize all convolutions by one of LAWS, with biases 0.

    Scales of batch norms are drawn from N(1, 0.02²), as in pix2pix.

    Without norms no layer rescales features, and weights as small as those of `normal` would shrink them: all
    convolutions but the last then get He's variance instead. Without norms, whatever the law, the last
    convolution of each residual branch is also multiplied by 0.1, so that the sum does not grow with depth.
    """
    *inner, last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    branch_ends = {block.body[5] for block in network.modules() if isinstance(block, ResnetBlock)}
    normalized = norm in NORMS
    for layer in (*inner, last):
        enough = normalized or layer is last or init != "normal"
        INITIALIZERS[init if enough else "kaiming"](layer.weight)
        if isinstance(layer, SubpixelConv):
            _make_pixels_alike_(layer.weight)
        if layer in branch_ends and not normalized:
            layer.weight.data.mul_(0.1)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if zero_last:
        nn.init.zeros_(last.weight)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


@torch.no_grad()
def _make_pixels_alike_(weight: torch.Tensor) -> None:
    """Apply ICNR: give the four channels of each 2×2 pixels equal weights, which avoids a checkerboard."""
    weight.copy_(weight[::4].repeat_interleave(4, dim=0))
