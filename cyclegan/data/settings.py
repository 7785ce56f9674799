"""How pictures become batches; free of PyTorch."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHANNELS = 512  # of a side at most
MOST = 16384  # pictures of a batch, and pixels of a side: beyond all that is read


@dataclass(frozen=True, kw_only=True)
class UnpairedConfig:
    """Two sides, X and Y: those of a domain, or any two folders (CycleGAN, Sec. 7.1).

    For AdaIN, X are the contents and Y the styles.
    """

    domain: str | None = None  # photo2monet: X is photo, Y is monet
    x: Path | None = None  # instead of a domain: a folder of pictures …
    y: Path | None = None  # … and another
    load_size: int | None = 286  # pictures are resized to this; null: as they are
    channels_x: int = 3  # of the files of X: 1, 3, 4 or more; see cyclegan.pixels.kind
    channels_y: int = 3  # likewise of Y
    range_x: tuple[float, float] | None = None  # of their values; null: 0…255 of 8 bits, 0…65535 of 16
    range_y: tuple[float, float] | None = None  # likewise
    resize: Literal["square", "shorter_side"] = "square"  # to load_size × load_size, or the shorter side, aspect kept
    crop_size: int = 256  # then a random square of this is cut out
    flip: bool = True  # and mirrored every other time
    batch_size: int = 1  # pictures of each side
    on_bad_picture: Literal["error", "skip"] = "error"  # skip: all are opened first, and the bad ones are left out …
    most_bad: float = 0.01  # … unless they are more than this share of a side, which is no accident
    validation: float = 0.0  # share of the training pictures that is kept aside, by hash, to choose the best weights by
    workers: int = 2  # threads that read ahead; no effect on what is drawn
    timeout: float = 600.0  # seconds to wait for a batch of a drive that may never answer; then training saves and ends
    cache_mb: int = 2048  # memory for decoded pictures, of each process; no effect on what is drawn
    cache_folder: Path | None = None  # instead: files that later runs and other processes map into their memory, too

    def __post_init__(self) -> None:
        if (self.domain is None) == (self.x is None and self.y is None) or (self.x is None) != (self.y is None):
            raise ValueError("domain: give either a domain or both folders x and y")
        for name in ("crop_size", "batch_size", "workers", "load_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
            if getattr(self, name) is not None and getattr(self, name) > MOST:
                raise ValueError(f"{name}: must be at most {MOST}")
        for side in ("x", "y"):
            channels, range = getattr(self, f"channels_{side}"), getattr(self, f"range_{side}")
            if not 1 <= channels <= CHANNELS:
                raise ValueError(f"channels_{side}: must lie in 1…{CHANNELS}")
            if range is not None and not (-math.inf < range[0] < range[1] < math.inf):
                raise ValueError(f"range_{side}: give two finite numbers, the smaller one first")
        if self.on_bad_picture == "skip" and not (self.is_usual("x") and self.is_usual("y")):
            raise ValueError("on_bad_picture: skip looks at 8-bit RGB; take error, or leave out channels and ranges")
        if self.cache_mb < 0:
            raise ValueError("cache_mb: must be at least 0")
        if self.timeout <= 0:
            raise ValueError("timeout: must be above 0")
        if not 0 <= self.most_bad < 1:
            raise ValueError("most_bad: must lie in 0…1, 1 excluded")
        if not 0 <= self.validation < 1:
            raise ValueError("validation: must lie in 0…1, 1 excluded")
        if self.load_size is not None and self.load_size < self.crop_size:
            raise ValueError(f"crop_size: {self.crop_size} does not fit into load_size {self.load_size}")

    def is_usual(self, side: Literal["x", "y"]) -> bool:
        """Whether a side is 8-bit RGB, which every picture can become."""
        return getattr(self, f"channels_{side}") == 3 and getattr(self, f"range_{side}") is None
