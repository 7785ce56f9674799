"""Settings with a field of every kind that a file of settings can give."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union


@dataclass(frozen=True, kw_only=True)
class Adam:
    name: Literal["adam"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self):
        if self.lr <= 0:
            raise ValueError("lr: must be positive")
        if self.betas[0] > self.betas[1]:
            raise ValueError("the first beta is the smaller one")


@dataclass(frozen=True, kw_only=True)
class Sgd:
    name: Literal["sgd", "momentum"] = "sgd"
    lr: float
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class Crop:
    size: int = 256
    pad: int = 0

    def __post_init__(self):
        if self.pad > self.size:
            raise ValueError(f"pad: {self.pad} is more than size {self.size}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    seed: int
    flip: bool = True
    share: float = 0.5
    title: str = "untitled"
    root: Path = Path("data")
    mode: Literal["fast", "exact", 3] = "fast"
    load_size: int | None = 286
    layers: tuple[int, ...] = (64, 128)
    weights: dict[str, float] = field(default_factory=dict)
    crop: Crop = Crop(size=128)
    second_crop: Crop | None = None
    crops: tuple[Crop, ...] = ()
    optimizer: Adam | Sgd = Adam()
    fixed: Union[Adam] = Adam()  # noqa: UP007  (a union of one, before its second member is written)


KEYS = ", ".join(item.name for item in dataclasses.fields(Settings))
FILE = "exp.yaml"
