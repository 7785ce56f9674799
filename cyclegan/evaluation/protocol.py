"""How a number was measured, in an id: numbers with different ids do not stand in one column.

Two papers' figures for one model differ by extractor, resize kernel, split, number or format of the images. Whoever
quotes a number quotes its id; whoever puts two side by side compares the ids, as `require_comparable` does.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cyclegan import __version__
from cyclegan.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that moves a number and is not the translator."""

    metric: str
    translated: int  # images
    sources: str  # digest of what was translated
    reference: int = 0  # images that were compared with; 0: the sources
    references: str = "none"  # their digest
    extractor: str = "none"  # name, layer and SHA-256
    resize: str = "none"
    images: str = "8-bit RGB in memory, as in a PNG"
    seed: int = 0
    code: str = __version__

    @property
    def id(self) -> str:
        """Ten digits; equal for equal protocols only."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True, kw_only=True, eq=False)
class Number:
    """A value, its 95 % interval where one is known, and how it was measured."""

    value: float
    low: float | None = None
    high: float | None = None
    per_image: np.ndarray | None = None  # where the value is their mean
    protocol: Protocol


def digest(pictures: Sequence[np.ndarray]) -> str:
    """Ten digits of the pixels of all pictures, in their order."""
    hasher = hashlib.sha256()
    for picture in pictures:
        hasher.update(f"{picture.shape}".encode())
        hasher.update(np.ascontiguousarray(picture).tobytes())
    return hasher.hexdigest()[:10]


def require_comparable(column: str, numbers: Iterable[Number]) -> None:
    """Raise UserError for a column of numbers that were not measured alike; name what differs."""
    protocols = [number.protocol for number in numbers]
    for other in protocols[1:]:
        if other.id != protocols[0].id:
            first, second = asdict(protocols[0]), asdict(other)
            differing = ", ".join(key for key in first if first[key] != second[key])
            raise UserError(
                f"{column}: {protocols[0].id} and {other.id} differ in {differing}; measure both in the same way"
            )
