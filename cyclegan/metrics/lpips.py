"""LPIPS: how different two pictures look, by learned weights on the features of a classifier.

Paper      Zhang, Isola, Efros, Shechtman, Wang, The unreasonable effectiveness of deep features as a perceptual metric,
           CVPR 2018; version 0.1 with SqueezeNet 1.1.
Distance   Σ_l mean over positions of Σ_c w_lc (ŷ_lc − ŷ'_lc)², where ŷ are features of unit length at each position; 0
           for equal pictures, about 0.7 for unrelated ones. Smaller is nearer.
Pictures   uint8 (h, w, 3) of equal size, at least 32 pixels a side, as they are: no resizing.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from cyclegan.images import from_bytes
from cyclegan.networks.squeezenet import SqueezeNet
from cyclegan.networks.weights import load_weights

LPIPS_PROTOCOL = "LPIPS 0.1 with SqueezeNet 1.1, pictures as they are, mean over images"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of images in [-1, 1]
TINY = 1e-10


class Lpips:
    """The trunk and its weights."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        self.trunk = SqueezeNet().to(self.device)
        weights = load_weights("lpips_squeeze")
        self.heads = [weights.tensors[f"lin{i}.model.1.weight"].float().to(self.device) for i in range(7)]
        self.shift, self.scale = (torch.tensor(n, device=self.device)[:, None, None] for n in (SHIFT, SCALE))
        self.sha256 = f"{self.trunk.sha256[:12]}+{weights.sha256[:12]}"

    @torch.no_grad()
    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], other: UInt8[np.ndarray, "h w 3"]) -> float:
        """The distance."""
        taps = self.trunk(torch.cat([self._scaled(picture), self._scaled(other)]))
        distances = (head * _unit(tap).diff(dim=0).square() for head, tap in zip(self.heads, taps, strict=True))
        return float(sum(distance.sum(dim=1).mean() for distance in distances))

    def _scaled(self, picture: np.ndarray) -> Float[Tensor, "1 3 h w"]:
        return (from_bytes(picture).to(self.device) - self.shift) / self.scale


def _unit(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Of length 1 at every position."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + TINY)
