"""ConditionalNormNet: a style transfer network of which each style owns only the scales and shifts of the norms.

Paper      Dumoulin, Shlens, Kudlur, A learned representation for artistic style, ICLR 2017 (arXiv:1610.07629).
Norm       z = γ_s (x − μ) / σ + β_s after every convolution, the last one included                 (Eq. 5)
Layers     conv9-32, conv3-64 and conv3-128 of stride 2, 5 residual blocks of two conv3-128 (ReLU after the
           first only), ×2 nearest, conv3-64, ×2 nearest, conv3-32, conv9-3, sigmoid. Reflection padding
           throughout; no convolution has a bias.
Images     (n, 3, h, w) in [-1, 1] → (n, 3, h, w) in [-1, 1]; computed in [0, 1]; h and w multiples of 4, at
           least 8.
Numbers    1,674,432 parameters that all styles share; 3,206 of each style, in one tensor: its row.
Mixtures   γ = Σ_s w_s γ_s, β = Σ_s w_s β_s, by weights of the image or of every position of it.
Differs    from the paper in the positions: there, weights belong to images.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cyclegan.networks.layers import InstanceNorm, ReflectionPad

DEVIATION = 0.01  # of the initial weights of the convolutions

Rows = Float[Tensor, "s 2 _"]  # (γ, β) of each style
StyleWeights = Float[Tensor, "#n s _ _"]  # of each style, for the image (1 × 1) or for every position


class ConditionalInstanceNorm(nn.Module):
    """Instance norm with the scale and the shift of a style, or of a mixture of styles (Eq. 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)

    def forward(self, features: Float[Tensor, "n c h w"], rows: Rows, weights: StyleWeights) -> Tensor:
        """Normalize (n, c, h, w), then scale and shift by Σ w_s (γ_s, β_s), the rows being (styles, 2, c)."""
        normalized = self.norm(features)
        scale, shift = mix_rows(rows, weights, features)
        return torch.addcmul(shift, normalized.to(shift.dtype), scale).to(features.dtype)


def mix_rows(rows: Rows, weights: StyleWeights, features: Float[Tensor, "n _ h w"]) -> Float[Tensor, "2 _ _ _ _"]:
    """Compute Σ w_s (γ_s, β_s), each (n, c, 1, 1), or (n, c, h, w) for weights of every position."""
    if weights.shape[2:] != (1, 1):
        weights = interpolate(weights, features.shape[2:], mode="area")
    with torch.autocast(rows.device.type, enabled=False):  # a scale of three digits would be seen
        mixed: Float[Tensor, "2 _ _ _ _"] = torch.einsum("nshw,skc->knchw", weights.to(rows.dtype), rows)
    return mixed


class ConvNorm(nn.Module):
    """Reflection padded convolution without bias, and the conditional norm after it."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1, scale: int = 1) -> None:
        super().__init__()
        self.larger = nn.Upsample(scale_factor=scale) if scale > 1 else nn.Identity()
        self.pad = ReflectionPad(kernel // 2)
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride, bias=False)
        self.norm = ConditionalInstanceNorm(out_channels)

    def forward(self, features: Float[Tensor, "n _ _ _"], rows: Rows, weights: StyleWeights) -> Tensor:
        """Compute the layer; `rows` are those of its own channels."""
        return self.norm(self.conv(self.pad(self.larger(features))), rows, weights)


class ConditionalNormNet(nn.Module):
    """Network of several styles: shared convolutions, and a row of scales and shifts for each style."""

    def __init__(self, styles: int, base_channels: int = 32, blocks: int = 5) -> None:
        super().__init__()
        narrow, middle, wide = (base_channels * factor for factor in (1, 2, 4))
        self.stride = 4
        self.smallest = 2 * self.stride  # residual blocks reflect at the borders, which takes 2×2 features
        self.down = nn.ModuleList(
            [ConvNorm(3, narrow, 9), ConvNorm(narrow, middle, 3, stride=2), ConvNorm(middle, wide, 3, stride=2)]
        )
        self.blocks = nn.ModuleList(ConvNorm(wide, wide, 3) for _ in range(2 * blocks))  # two for each
        self.up = nn.ModuleList([ConvNorm(wide, middle, 3, scale=2), ConvNorm(middle, narrow, 3, scale=2)])
        self.last = ConvNorm(narrow, 3, 9)
        for layer in self.conv_norms():
            nn.init.normal_(layer.conv.weight, std=DEVIATION)
        channels = sum(layer.conv.out_channels for layer in self.conv_norms())
        identity = torch.tensor([1.0, 0.0])[:, None].repeat(1, channels)  # γ = 1, β = 0
        self.rows = nn.ParameterList(nn.Parameter(identity.clone()) for _ in range(styles))

    def conv_norms(self) -> list[ConvNorm]:
        """List the layers in the order they run in, which is that of their channels in a row."""
        layers = [*self.down, *self.blocks, *self.up, self.last]
        return [layer for layer in layers if isinstance(layer, ConvNorm)]

    def forward(
        self, images: Float[Tensor, "n 3 h w"], weights: StyleWeights, among: Sequence[int] | None = None
    ) -> Float[Tensor, "n 3 h w"]:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w), both in [-1, 1].

        weights  Weight of each style, (n, styles, 1, 1), or of each style at every position, (n, styles, _, _), at
                 any resolution; used as they are, so that they should sum to 1.
        among    Indices of the styles that the weights are for, by default of all.
        """
        layers = self.conv_norms()
        ends = [0, *accumulate(layer.conv.out_channels for layer in layers)]
        rows = torch.stack([self.rows[i] for i in (range(len(self.rows)) if among is None else among)])
        run = [(layer, rows[..., a:b]) for layer, (a, b) in zip(layers, pairwise(ends), strict=True)]
        features = (images.to(rows.dtype) + 1) / 2
        down, up = len(self.down), len(self.down) + len(self.blocks)
        for layer, own in run[:down]:
            features = layer(features, own, weights).relu()
        for (first, one), (second, other) in zip(run[down:up:2], run[down + 1 : up : 2], strict=True):
            features = features + second(first(features, one, weights).relu(), other, weights)
        for layer, own in run[up:-1]:
            features = layer(features, own, weights).relu()
        last, own = run[-1]
        return (2 * last(features, own, weights).sigmoid() - 1).to(images.dtype)
