"""Raster: the content of an image file, upright, as it is stored, with the tags that a translation keeps."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

SPACES = {1: b"GRAY", 3: b"RGB "}  # number of channels -> their name in a color profile


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Properties of an image other than its pixels."""

    icc: bytes | None = None  # the color profile
    dpi: tuple[float, float] | None = None
    flat: bool = False  # an array without an axis for its one channel
    premultiplied: bool = False  # a TIFF file that stores the colors multiplied by alpha
    mode: str = ""  # what the file stores, in Pillow's words or as "3 × uint16"
    duration: float | None = None  # ms, of a frame of an animation
    loop: int | None = None  # how often an animation is shown; 0: forever; None: not stored
    still: bool = False  # shown by programs that cannot animate; not a frame of the animation

    def profile(self, channels: int) -> bytes | None:
        """Return the color profile if it fits the channels: a grey profile does not describe colors."""
        return self.icc if self.icc and self.icc[16:20] == SPACES.get(channels) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """Pixels with alpha and tags.

    Colors are straight, that is, neither laid on white nor multiplied by alpha.
    """

    values: Shaped[np.ndarray, "h w c"]
    alpha: Shaped[np.ndarray, "h w"] | None = None  # uint8 or uint16, from 0 for transparent to the highest value
    tags: Tags = field(default_factory=Tags)
    highest: int | None = None  # of integers of fewer bits than their type has: 4095 of 12 bits


def split(values: np.ndarray, tags: Tags) -> Raster:
    """Split off the last channel as alpha; premultiplied colors are divided by it."""
    color, alpha = values[..., :-1], np.ascontiguousarray(values[..., -1])
    if tags.premultiplied:
        highest = np.iinfo(values.dtype).max
        straight = color.astype(np.float64) * highest / np.maximum(alpha, 1)[..., None]
        color = straight.round().clip(0, highest).astype(values.dtype)
    return Raster(values=np.ascontiguousarray(color), alpha=alpha, tags=tags)


def joined(values: np.ndarray, alpha: np.ndarray, premultiplied: bool = False) -> np.ndarray:
    """Join (h, w, c) and alpha of one type into (h, w, c + 1); inverts `split`."""
    if premultiplied:
        share = alpha[..., None] / np.iinfo(alpha.dtype).max
        values = (values * share).round().astype(alpha.dtype)
    return np.dstack([values, alpha])


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (h, w, c) upright, by the value of the EXIF and TIFF tag Orientation."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
