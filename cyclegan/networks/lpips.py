"""LPIPS: perceptual distance between two images, by learned weights on the features of a classifier.

Paper      Zhang, Isola, Efros, Shechtman, Wang, The unreasonable effectiveness of deep features as a
           perceptual metric, CVPR 2018, Eq. 1; version 0.1, with SqueezeNet 1.1, which is small and the
           default, or with VGG-16, which many papers report.
Distance   Σ_l mean over positions of Σ_c w_lc (ŷ_lc − ŷ'_lc)², where ŷ are features of unit length at each
           position; 0 for equal images, about 0.7 for unrelated ones. Smaller is more similar.
Images     (n, 3, h, w) in [-1, 1], at least 32 pixels a side; computed in float32, also under autocast.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.networks.imagenet import Classifier
from cyclegan.networks.weights import load_weights
from cyclegan.protocols import Images

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of images in [-1, 1]
TINY = 1e-10
HEADS = {"squeezenet": "lpips_squeeze", "vgg16": "lpips_vgg"}  # classifier -> the weights w


class Lpips(nn.Module):
    """LPIPS network and its weights, frozen, with the SHA-256 of both."""

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: str = "squeezenet") -> None:
        super().__init__()
        self.trunk = Classifier(trunk)
        weights = load_weights(HEADS[trunk])
        heads = [weights.tensors[f"lin{i}.model.1.weight"].float() for i in range(len(self.trunk.ends))]
        self.heads = nn.ParameterList(nn.Parameter(head, requires_grad=False) for head in heads)
        for name, numbers in (("shift", SHIFT), ("scale", SCALE)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None])
        self.sha256 = f"{self.trunk.sha256[:12]}+{weights.sha256[:12]}"

    def forward(self, images: Images, others: Images) -> Float[Tensor, " n"]:
        """Compute the distance of each pair of images."""
        with torch.autocast(images.device.type, enabled=False):
            taps = self.trunk((torch.cat([images, others]).float() - self.shift) / self.scale)
            pairs = [_unit(tap).unflatten(0, (2, -1)) for tap in taps]
            squares = (head * (one - other).square() for head, (one, other) in zip(self.heads, pairs, strict=True))
            return torch.stack([square.sum(dim=1).mean(dim=(1, 2)) for square in squares]).sum(dim=0)


def _unit(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Scale features to length 1 at every position."""
    return features / ((features.square().sum(dim=1, keepdim=True) + TINY**2).sqrt() + TINY)
