"""Kind of the images of a side: number of channels, type and range, and the mapping to [-1, 1] and back.

Range      For 8 and 16 bits without sign it follows from the type: 0…255, 0…65535. For all other types it has
           to be declared, since physical units have no natural limits. It may also be declared for 8 and 16
           bits, such as for a camera of 12 bits.
Beyond     a declared range, values are clipped to its nearer end, like the window of a radiograph.
RGB        without a declared range is the usual kind, and accepts every image: greys, palettes and CMYK
           become RGB, transparent pixels are laid on white. All other kinds accept only files with exactly
           their number of channels.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

Levels = Float32[np.ndarray, "h w c"]  # in [-1, 1]

HIGHEST = {"uint8": 255.0, "uint16": 65535.0}  # of the types with a standard range
TYPES = (*HIGHEST, "int16", "int32", "uint32", "float32")
MOST = 512  # channels, as in cyclegan.data.data_config


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """Number of channels, type and range of the images of a side."""

    channels: int = 3
    type: str = "uint8"
    range: tuple[float, float] | None = None  # values that map to [-1, 1]; None: the range of the type

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= MOST:
            raise ValueError(f"channels: must lie in 1…{MOST}")
        if self.range is not None and not (-math.inf < self.range[0] < self.range[1] < math.inf):
            raise ValueError("range: give two finite numbers, the smaller one first")
        if self.type not in TYPES:
            raise ValueError(f"type: {self.type} is none of {', '.join(TYPES)}")
        if self.range is None and self.type not in HIGHEST:
            raise ValueError(f"range: that of {self.type} is unknown; declare it, as [0, 1]")

    @property
    def is_rgb(self) -> bool:
        """Return whether this is the usual kind, to which any image can be converted."""
        return self.channels == 3 and self.range is None

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the values that map to -1 and 1."""
        return self.range or (0.0, HIGHEST[self.type])

    def levels(self, values: np.ndarray) -> Levels:
        """Map values of this type to [-1, 1]."""
        low, high = self.bounds
        exact = np.float32 if self.type in HIGHEST else np.float64
        scaled: np.ndarray = (values.astype(exact) - np.asarray(low, exact)) * (2 / (high - low)) - 1
        if not np.isfinite(scaled).all():
            raise ValueError("some of its values are not finite")
        return scaled.clip(-1, 1).astype(np.float32, copy=False)

    def values(self, levels: Levels) -> np.ndarray:
        """Map [-1, 1] to the nearest values of this type."""
        low, high = self.bounds
        exact = np.float32 if self.type in HIGHEST else np.float64
        found = (levels.astype(exact, copy=False).clip(-1, 1) + 1) * ((high - low) / 2) + low
        return (found if self.type == "float32" else found.round()).astype(self.type)

    def like(self, type: str) -> "PixelFormat":
        """Return this kind for files of another type.

        Without a declared range, 8 and 16 bits may replace each other.
        """
        return replace(self, type=type) if self.range is None and type in HIGHEST else self

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.channels} channel{'s' * (self.channels > 1)} of {self.type} in {low:g}…{high:g}"


RGB = PixelFormat()


def declared_range(type: str = "uint8", range: Any = None, **rest: Any) -> tuple[float, float] | None:
    """Return the range if it differs from the full range of the type."""
    if range is None:
        return None
    low, high = map(float, range)
    return None if (low, high) == (0, HIGHEST.get(type)) else (low, high)
