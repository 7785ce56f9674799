"""Options of a translation of images or videos, the same for all models; free of PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a translation, apart from the target."""

    bits: int | None = None  # a channel: 8, or 16, which makes every result a .tif; None: those of the source
    every: int | None = None  # of a method that optimizes: keep <name>/step-00050.png after every so many steps
    tile: int | None = None  # of a generator: px of a tile, for less memory and the same result; None: only if needed
    batch: int = 1  # images of one size that go through the network together, at most
    strength: float = 1.0  # 0 … 1, from the original image to the whole translation
