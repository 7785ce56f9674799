"""torchvision's ImageNet classifiers as sources of features, split at the layers that LPIPS compares.

squeezenet  SqueezeNet 1.1, Iandola et al. 2016; 5 MB, small enough for tests. Taps: after the first
            convolution, and after the fire modules 2, 4, 5, 6, 7, 8 in torchvision's count from 1; 64, 128,
            256, 384, 384, 512, 512 channels.
vgg16       Simonyan, Zisserman 2015; 553 MB, most of it fully connected layers, which are left out. Taps:
            relu1_2, relu2_2, relu3_3, relu4_3, relu5_3; 64, 128, 256, 512, 512 channels.
Images      RGB in [-1, 1], at least 32 pixels a side; `normalize` scales them as ImageNet networks expect;
            LPIPS has its own scaling.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import squeezenet1_1
from torchvision.models.vgg import cfgs, make_layers

from cyclegan.networks.weights import load_into, load_weights
from cyclegan.protocols import Images

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of images in [0, 1]


class _Layers(NamedTuple):
    title: str
    build: Callable[[], nn.Sequential]
    ends: tuple[int, ...]  # of the parts, each of which ends in a tap


CLASSIFIERS = {
    "squeezenet": _Layers("SqueezeNet 1.1", lambda: squeezenet1_1().features, (2, 5, 8, 10, 11, 12, 13)),
    "vgg16": _Layers("VGG-16", lambda: make_layers(cfgs["D"]), (4, 9, 16, 23, 30)),
}


class Classifier(nn.Module):
    """Layers of a named classifier up to its last tap, frozen, float32, with the SHA-256 of its weights."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.title, build, self.ends = CLASSIFIERS[name]
        weights = load_weights(name)
        self.sha256 = weights.sha256
        self.features = build()[: self.ends[-1]]
        load_into(self.features, weights, self.title, below="features.")

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Compute the features at all taps from normalized images."""
        taps, begin = [], 0
        for end in self.ends:
            images = self.features[begin:end](images)
            taps.append(images)
            begin = end
        return taps


def normalize(images: Images) -> Images:
    """Normalize images as networks trained on ImageNet expect."""
    mean, std = (images.new_tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (images.add(1).div(2) - mean) / std
