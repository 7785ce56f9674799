"""StyleBankNet: an auto-encoder, and for each style one bank of filters between encoder and decoder.

Paper      Chen, Yuan, Liao, Yu, Hua, StyleBank: an explicit representation for neural image style transfer,
           CVPR 2017 (arXiv:1703.09210).
Layers     E: conv9-32, conv3-64 and conv3-128 of stride 2, each with an affine instance norm and ReLU.
           K_s: one conv3-128, nothing after it. D: 3×3 filters to 64 and to 32 channels, which double height
           and width, each with norm and ReLU; conv9-3. PyTorch's initial weights.
Images     (n, 3, h, w) in [-1, 1] → (n, 3, h, w), unbounded; h and w multiples of 4, at least 8.
Computes   O_s = D(K_s ∗ E(x)); O = D(E(x)) without a bank.
Mixtures   Σ_s K_s ∗ (w_s E(x)), by weights of the image, (Σ_s w_s K_s) ∗ E(x), or of every position of it.
Numbers    100,608 parameters of E, 100,227 of D, 147,584 of each bank.
Differs    from the paper: convolutions are reflection padded; biases of banks are weighted by w_s as well, so
           that each region gets its own. `upsampling`: the paper's are transposed; resize has no checkerboards.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from cyclegan.networks.layers import InstanceNorm, ReflectionPad
from cyclegan.networks.resampling import upsample_layers

Features = Float[Tensor, "n _ _ _"]


class StyleBankNet(nn.Module):
    """Encoder, decoder and a bank of filters for each style."""

    def __init__(self, styles: int, base_channels: int = 32, upsampling: str = "transposed") -> None:
        super().__init__()
        narrow, middle, wide = (base_channels * factor for factor in (1, 2, 4))
        self.stride = 4
        self.smallest = 2 * self.stride  # banks reflect at the borders, which takes 2×2 features
        self.encoder = nn.Sequential(
            *(ReflectionPad(4), nn.Conv2d(3, narrow, 9), *_norm_relu(narrow)),
            *(ReflectionPad(1), nn.Conv2d(narrow, middle, 3, 2), *_norm_relu(middle)),
            *(ReflectionPad(1), nn.Conv2d(middle, wide, 3, 2), *_norm_relu(wide)),
        )
        self.pad = ReflectionPad(1)
        self.banks = nn.ModuleList(nn.Conv2d(wide, wide, 3) for _ in range(styles))
        self.decoder = nn.Sequential(
            *(*upsample_layers(wide, middle, upsampling), *_norm_relu(middle)),
            *(*upsample_layers(middle, narrow, upsampling), *_norm_relu(narrow)),
            *(ReflectionPad(4), nn.Conv2d(narrow, 3, 9)),
        )

    def forward(
        self,
        images: Float[Tensor, "n 3 h w"],
        weights: Float[Tensor, "#n k _ _"],
        among: Sequence[int] | None = None,
    ) -> Float[Tensor, "n 3 h w"]:
        """Stylize images: (n, 3, h, w) in [-1, 1] → (n, 3, h, w).

        weights  Weight of each style, (n, styles, 1, 1), or of each style at every position, (n, styles, _, _), at
                 any resolution; used as they are, so that they should sum to 1.
        among    Indices of the styles that the weights are for, by default of all; no other bank is touched.
        """
        banks = [self.banks[i] for i in (range(len(self.banks)) if among is None else among)]
        return self.decode(self.filtered(self.encode(images), weights, banks)).to(images.dtype)

    def autoencode(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
        """Compute D(E(x)), without any bank: (n, 3, h, w) → (n, 3, h, w)."""
        return self.decode(self.encode(images)).to(images.dtype)

    def encode(self, images: Float[Tensor, "n 3 h w"]) -> Features:
        """Compute E(x): (n, 3, h, w) → (n, 4 · base_channels, h / 4, w / 4)."""
        features: Features = self.encoder(images.to(next(self.encoder.parameters()).dtype))
        return features

    def decode(self, features: Features) -> Float[Tensor, "n 3 _ _"]:
        """Compute D: (n, 4 · base_channels, h, w) → (n, 3, 4h, 4w)."""
        images: Float[Tensor, "n 3 _ _"] = self.decoder(features)
        return images

    def filtered(self, features: Features, weights: Float[Tensor, "#n k _ _"], banks: Sequence[nn.Module]) -> Features:
        """Compute Σ_s K_s ∗ (w_s E(x)) + w_s b_s over the banks: (n, c, h, w) → (n, c, h, w)."""
        weights = weights.to(features.dtype)
        if weights.shape[2:] != (1, 1):
            weights = interpolate(weights, features.shape[2:], mode="area")
        filtered = torch.zeros_like(features)
        for bank, share in zip(banks, weights.split(1, dim=1), strict=True):
            assert isinstance(bank, nn.Conv2d)
            assert bank.bias is not None
            filtered = filtered + conv2d(self.pad(share * features), bank.weight) + share * bank.bias[:, None, None]
        return filtered


def _norm_relu(channels: int) -> list[nn.Module]:
    return [InstanceNorm(channels, affine=True), nn.ReLU(inplace=True)]
