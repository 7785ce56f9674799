"""Images that translations are measured against, with the networks and features that several metrics
share."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8

from cyclegan.metrics import structure
from cyclegan.metrics.extractors import EXTRACTORS
from cyclegan.metrics.lpips_distance import LpipsDistance
from cyclegan.networks.vgg import VGGFeatures, load_vgg

Picture = UInt8[np.ndarray, "h w 3"]
Pictures = Sequence[UInt8[np.ndarray, "_ _ 3"]]
Found = TypeVar("Found")

CPU = torch.device("cpu")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # of Gram distances


class Network(Protocol):
    """Pretrained network that a metric uses, with a description that its numbers are compared by."""

    @property
    def described(self) -> str:
        """Name and SHA-256."""
        ...

    @property
    def resize(self) -> str:
        """Size and kernel that images are resized with; "none" where they are not."""
        ...


class Taps(NamedTuple):
    """Layers of VGG-19."""

    features: VGGFeatures
    described: str
    resize: str = "none"


def _taps(layers: Sequence[str], device: torch.device) -> Taps:
    vgg = load_vgg("normalised", layers, padding="reflect", ceil=True).to(device)
    return Taps(vgg, f"vgg {vgg.description['sha256'][:12]}")


NETWORKS: dict[str, Callable[[torch.device], Network]] = {  # Metric.weights -> the network, loaded on a device
    **EXTRACTORS,
    "lpips": lambda device: LpipsDistance(device, "squeezenet"),
    "lpips-vgg": lambda device: LpipsDistance(device, "vgg16"),
    "structure": lambda device: _taps([structure.LAYER], device),
    "style": lambda device: _taps(STYLE_LAYERS, device),
}


@dataclass(eq=False)
class EvaluationData:
    """Images that translations of the same sources are measured against, uint8 (h, w, 3).

    sources     images that are translated
    references  real images of the target
    trained     training images of the target, which a translation may copy; by default the references
    """

    sources: Pictures
    references: Pictures = ()
    trained: Pictures = ()
    device: torch.device = CPU
    _networks: dict[str, Any] = field(init=False, default_factory=dict)
    _found: dict[tuple[Hashable, int], tuple[Pictures, Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.trained = self.trained or self.references

    def network(self, name: str) -> Any:
        """Load a network of NETWORKS. Raises WeightsMissingError if its weights are not here."""
        if name not in self._networks:
            self._networks[name] = NETWORKS[name](self.device)
        return self._networks[name]

    def features(self, name: str, pictures: Pictures) -> Float[np.ndarray, "n d"]:
        """Features of an extractor."""
        extractor = self.network(name)
        return self.once(f"features of {name}", pictures, lambda: extractor.features(pictures, self.device))

    def once(self, key: Hashable, pictures: Pictures, compute: Callable[[], Found]) -> Found:
        """Compute something of a list of images; the same list is not computed twice under one key."""
        if (key, id(pictures)) not in self._found:
            self._found[key, id(pictures)] = (
                pictures,
                compute(),
            )  # the list is kept, so that its id stays its own
        found: Found = self._found[key, id(pictures)][1]
        return found
