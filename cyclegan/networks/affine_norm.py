"""Instance norm with a learned scale and offset of each channel, as two layers.

The norm itself is that of the other networks, so that tiles and frozen copies find it; the scale and the offset
are a layer of their own.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.networks.layers import InstanceNorm


class ChannelAffine(nn.Module):
    """Scale γ and offset β of each channel: γ x + β; γ starts at 1 and β at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Scale and shift: (n, c, h, w) → (n, c, h, w)."""
        weight, bias = (each.to(features.dtype)[:, None, None] for each in (self.weight, self.bias))
        return torch.addcmul(bias, features, weight)


def affine_instance_norm(channels: int, eps: float = 1e-5) -> nn.Sequential:
    """Build an instance norm followed by a learned scale and offset: 2 · channels parameters."""
    return nn.Sequential(InstanceNorm(channels, eps=eps), ChannelAffine(channels))
