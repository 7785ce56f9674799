"""How pictures and films are translated, whatever the model; free of PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be asked for beside the side to translate to."""

    bits: int | None = None  # a channel: 8, or 16, which makes every result a .tif; None: those of the source
    every: int | None = None  # of a method that optimizes: keep <name>/step-00050.png after every so many steps
    tile: int | None = None  # of a generator: px of squares to work in, the same in less memory; None: where it must be
    batch: int = 1  # pictures of one size, at most, that go through the network together
    strength: float = 1.0  # 0 … 1, from the picture itself to the whole translation
