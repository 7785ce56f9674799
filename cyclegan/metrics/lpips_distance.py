"""LPIPS of 8-bit images: see cyclegan.networks.lpips.

Images     uint8 (h, w, 3) of equal size, at least 32 pixels a side, without resizing.
"""

import numpy as np
import torch
from jaxtyping import UInt8

from cyclegan.images.tensors import from_bytes
from cyclegan.networks import lpips


class LpipsDistance:
    """LPIPS network on a device, and a description of its measurement."""

    resize = "none"

    def __init__(self, device: torch.device | None = None, trunk: str = "squeezenet") -> None:
        self.device = device or torch.device("cpu")
        self.network = lpips.Lpips(trunk).to(self.device)
        self.described = self.network.sha256
        self.protocol = f"LPIPS 0.1 with {self.network.trunk.title}, pictures as they are, mean over images"

    @torch.no_grad()
    def __call__(self, picture: UInt8[np.ndarray, "h w 3"], other: UInt8[np.ndarray, "h w 3"]) -> float:
        """Compute the distance of two images; smaller means more similar."""
        return float(self.network(*(from_bytes(each).to(self.device) for each in (picture, other))))
