"""Feature extractors for distances between two sets of images, by name; none is ever replaced by another.

inception   Inception v3 of the first GAN papers, 2048 numbers an image; the network of torch-fidelity.
vgg         the mean over positions of relu4_1 of AdaIN's VGG-19, 512 numbers: texture and parts, little about
            objects. Gatys and AdaIN minimize losses in its features, so do not rank them by it.
squeezenet  the mean over positions of the last layer of SqueezeNet 1.1, 512 numbers, scaled to a mean square
            of 1 for each image, as KID's kernel expects: small, for tests and quick checks.
dinov2      the class token of DINOv2's ViT-L/14, 1024 numbers: recommended by Stein et al. 2023 in place of
            Inception. They round the resized images to 8 bits; here they are not rounded.
Resizing    bicubic, antialiased, on floating-point channels, to the size the network was trained on;
            for inception, the result is then rounded to 8 bits, as torch-fidelity's network expects.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from cyclegan.errors import UserError
from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.networks.dinov2 import load_dinov2
from cyclegan.networks.imagenet import Classifier, normalize
from cyclegan.networks.vgg import load_vgg
from cyclegan.networks.weights import load_weights
from cyclegan.protocols import Images


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Network as a function of images, with a description that is part of the measurement's id."""

    name: str
    sha256: str
    size: int  # px of the square that images are resized to
    embed: Callable[[Images], Float[Tensor, "n d"]]

    @property
    def described(self) -> str:
        """Name and SHA-256, as written in the id of a number."""
        return f"{self.name} {self.sha256[:12]}"

    @property
    def resize(self) -> str:
        """Kernel and size of resizing, as written in the id of a number."""
        return f"bicubic, antialiased, to {self.size}×{self.size}"

    @torch.no_grad()
    def features(self, pictures: Iterable[np.ndarray], device: torch.device) -> Float[np.ndarray, "n d"]:
        """Compute features of images, uint8 (h, w, 3), of any sizes."""
        found = [self.embed(self._resized(from_bytes(picture).to(device))).cpu().double() for picture in pictures]
        return torch.cat(found).numpy()

    def _resized(self, image: Images) -> Float[Tensor, "n 3 _ _"]:
        if image.shape[2:] == (self.size, self.size):
            return image
        return interpolate(image, (self.size, self.size), mode="bicubic", antialias=True).clamp(-1, 1)


def load_extractor(name: str, device: torch.device) -> Extractor:
    """Load the extractor of a name.

    Raises WeightsMissingError if its weights are neither on this machine nor fetched.
    """
    if name not in EXTRACTORS:
        raise UserError(f"extractor: '{name}' is not one of {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](device)


def _inception(device: torch.device) -> Extractor:
    """Load Inception v3.

    Its weights are read by our own parser, which executes no code, and not by torch-fidelity's.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    weights = load_weights("inception")
    given = io.BytesIO()  # its constructor reads a file
    torch.save(weights.tensors, given)
    given.seek(0)
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=given)
    network.to(device)

    def embed(images: Images) -> Float[Tensor, "n 2048"]:
        return network(to_bytes(images).permute(0, 3, 1, 2).to(device))[0].flatten(1)

    return Extractor(name="inception", sha256=weights.sha256, size=299, embed=embed)


def _vgg(device: torch.device) -> Extractor:
    network = load_vgg("normalised", ["relu4_1"], padding="reflect", ceil=True).to(device)

    def embed(images: Images) -> Float[Tensor, "n 512"]:
        return network(images)["relu4_1"].mean(dim=(2, 3))

    return Extractor(name="vgg relu4_1", sha256=network.description["sha256"], size=256, embed=embed)


def _squeezenet(device: torch.device) -> Extractor:
    network = Classifier("squeezenet").to(device)

    def embed(images: Images) -> Float[Tensor, "n 512"]:
        features = network(normalize(images))[-1].mean(dim=(2, 3))
        return features / features.square().mean(dim=1, keepdim=True).sqrt()

    return Extractor(name="squeezenet", sha256=network.sha256, size=224, embed=embed)


def _dinov2(device: torch.device) -> Extractor:
    network = load_dinov2().to(device)
    return Extractor(name="dinov2 ViT-L/14", sha256=network.sha256, size=224, embed=network)


EXTRACTORS: dict[str, Callable[[torch.device], Extractor]] = {
    "inception": _inception,
    "vgg": _vgg,
    "squeezenet": _squeezenet,
    "dinov2": _dinov2,
}
