"""An AdaIN that has learnt nothing, and blobs of color to give it."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.adain import TARGET, AdaIN, AdaINConfig


def random_adain() -> AdaIN:
    """The same one every time."""
    torch.manual_seed(0)
    return AdaIN(AdaINConfig(encoder="random", precision="float32")).eval()


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Blobs of color, as noise has the same statistics everywhere."""
    coarse = torch.rand(shape[0], 3, 5, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return interpolate(coarse, shape[-2:], mode="bilinear")


def features(method: AdaIN, images: Tensor) -> Tensor:
    with torch.no_grad():
        return method.encode(images)[TARGET]


def batch(count: int = 1, side: int = 16) -> UnpairedBatch:
    return UnpairedBatch(picture(count, 3, side, side, seed=1), picture(count, 3, side, side, seed=2))
