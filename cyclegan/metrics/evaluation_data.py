"""Images that translations are measured against, with networks and features shared by several metrics."""

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
    """Pretrained network used by a metric, with a description that is part of the measurement's id."""

    @property
    def described(self) -> str:
        """Name and SHA-256."""
        ...

    @property
    def resize(self) -> str:
        """Size and kernel of resizing; "none" if images are not resized."""
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
        """Compute the features of an extractor."""
        extractor = self.network(name)
        return self.once(f"features of {name}", pictures, lambda: extractor.features(pictures, self.device))

    def once(self, key: Hashable, pictures: Pictures, compute: Callable[[], Found]) -> Found:
        """Compute a result for a list of images; a second call with the same list and key reuses it."""
        if (key, id(pictures)) not in self._found:
            self._found[key, id(pictures)] = (
                pictures,
                compute(),
            )  # the list is kept alive, so that its id is not reused
        found: Found = self._found[key, id(pictures)][1]
        return found
