"""How pictures become batches; free of PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    resize: Literal["square", "shorter_side"] = "square"  # to load_size × load_size, or the shorter side, aspect kept
    crop_size: int = 256  # then a random square of this is cut out
    flip: bool = True  # and mirrored every other time
    batch_size: int = 1
    on_bad_picture: Literal["error", "skip"] = "error"  # skip: all are opened first, and the bad ones are left out …
    most_bad: float = 0.01  # … unless they are more than this share of a side, which is no accident
    validation: float = 0.0  # share of the training pictures that is kept aside, by hash, to choose the best weights by
    workers: int = 2  # threads that read ahead; no effect on what is drawn
    timeout: float = 600.0  # seconds to wait for a batch of a drive that may never answer; then training saves and ends
    cache_mb: int = 2048  # memory for decoded pictures; no effect on what is drawn
    cache_folder: Path | None = None  # instead: files that later runs and other processes map into their memory, too

    def __post_init__(self) -> None:
        if (self.domain is None) == (self.x is None and self.y is None) or (self.x is None) != (self.y is None):
            raise ValueError("domain: give either a domain or both folders x and y")
        for name in ("crop_size", "batch_size", "workers", "load_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
            if getattr(self, name) is not None and getattr(self, name) > MOST:
                raise ValueError(f"{name}: must be at most {MOST}")
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
