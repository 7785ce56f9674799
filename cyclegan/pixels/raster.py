"""Raster: the content of a picture file, upright, as it was stored, with what a picture made from it takes over."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

SPACES = {1: b"GRAY", 3: b"RGB "}  # what the profile of so many channels calls them


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What is known of a picture beside its pixels."""

    icc: bytes | None = None  # the color profile
    dpi: tuple[float, float] | None = None
    flat: bool = False  # an array without an axis for its one channel
    duration: float | None = None  # ms, of a frame of an animation
    loop: int | None = None  # how often an animation is shown; 0: forever; None: not stored
    still: bool = False  # shown instead of an animation by programs that know none, and not a frame of it

    def profile(self, channels: int) -> bytes | None:
        """The color profile, if it is one for so many channels: that of greys says nothing of colors."""
        return self.icc if self.icc and self.icc[16:20] == SPACES.get(channels) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """Pixels, and what goes with them."""

    values: Shaped[np.ndarray, "h w c"]
    alpha: Shaped[np.ndarray, "h w"] | None = None  # of the same type; the values are laid on white already
    tags: Tags = field(default_factory=Tags)


def split(values: np.ndarray, tags: Tags, premultiplied: bool = False) -> Raster:
    """Of values whose last channel is how opaque they are: the others, laid on white, and that one."""
    highest = np.iinfo(values.dtype).max
    alpha = values[..., -1]
    share = alpha[..., None] / highest
    color = values[..., :-1].astype(np.float64) * (1 if premultiplied else share) + highest * (1 - share)
    return Raster(values=color.round().clip(0, highest).astype(values.dtype), alpha=alpha, tags=tags)


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """(h, w, c) as it is stored → as it is to be seen, by the number of the EXIF and TIFF tag Orientation."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
