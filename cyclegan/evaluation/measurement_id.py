"""Id of a measurement: numbers with different ids must not be compared in one column.

Published figures for one model can differ by extractor, resize kernel, split, or number or format of the
images. Quote the id with the number, and compare ids before numbers, as `require_comparable` does.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cyclegan import __version__
from cyclegan.errors import UserError
from cyclegan.evaluation.bootstrap import bootstrap
from cyclegan.metrics.measures import Raw


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything that a number depends on, apart from the translator."""

    metric: str
    translated: int  # images
    sources: str  # digest of the translated images
    reference: int = 0  # number of images compared with; 0: the sources
    references: str = "none"  # their digest
    extractor: str = "none"  # name, layer and SHA-256
    resize: str = "none"
    border: int = 0  # px around images that were left out
    images: str = "8-bit RGB in memory, as in a PNG"
    seed: int = 0
    code: str = __version__

    @property
    def id(self) -> str:
        """Ten digits, equal only for equal measurements."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True, kw_only=True, eq=False)
class Number:
    """Value, its 95 % interval where one is known, and how it was measured."""

    value: float
    low: float | None = None
    high: float | None = None
    per_image: np.ndarray | None = None  # where the value is their mean
    measurement: Measurement


def number(raw: Raw, **measurement: Any) -> Number:
    """Build a number from a value with its interval, or from one value for each image."""
    per_image = raw if isinstance(raw, np.ndarray) else None
    value, low, high = bootstrap(raw) if isinstance(raw, np.ndarray) else raw
    return Number(value=value, low=low, high=high, per_image=per_image, measurement=Measurement(**measurement))


def digest(pictures: Iterable[np.ndarray]) -> str:
    """Compute ten digits of the SHA-256 of all images, uint8 (h, w, 3), in order."""
    hasher = hashlib.sha256()
    for picture in pictures:
        hasher.update(f"{picture.shape}".encode())
        hasher.update(np.ascontiguousarray(picture).tobytes())
    return hasher.hexdigest()[:10]


def require_comparable(column: str, numbers: Iterable[Number]) -> None:
    """Raise UserError, naming the difference, for a column whose numbers were measured differently."""
    measurements = [number.measurement for number in numbers]
    for other in measurements[1:]:
        if other.id != measurements[0].id:
            first, second = asdict(measurements[0]), asdict(other)
            differing = ", ".join(key for key in first if first[key] != second[key])
            raise UserError(
                f"{column}: {measurements[0].id} and {other.id} differ in {differing}; measure both in the same way"
            )
