"""Settings of `cyclegan compare`: images and translators. No PyTorch.

Paths      of images: files, folders, or both. Paths below datasets/<card>/ are found wherever that data set
           is stored.
Results    go to runs/compare/<name of the file>/.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Several: TypeAlias = Literal["mixed", "per_image", "shared out"]

SEVERAL: dict[str, Several] = {"shared out": "per_image"}  # old value -> new one


def _require_style(style: tuple[Path, ...], count: int | None = None) -> None:
    if not style:
        raise ValueError("style: give one image or more, as in [painting.jpg]")
    if count is not None and count < 1:
        raise ValueError("count: must be at least 1")


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Translator that returns images unchanged."""

    name: Literal["identity"] = "identity"


@dataclass(frozen=True, kw_only=True)
class ColorTransferConfig:
    """Monge-Kantorovich map from the colors of the compared images to those of the style."""

    name: Literal["color-transfer"] = "color-transfer"
    style: tuple[Path, ...]
    flatten: bool = False  # by a 5×5 median first, which takes texture away and leaves edges

    def __post_init__(self) -> None:
        _require_style(self.style)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Trained translator to one target."""

    name: Literal["run"] = "run"
    folder: Path  # of a run or a checkpoint, or a released file
    to: str | None = None  # name of the target; null: the first


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Trained method, bound to style images."""

    name: Literal["checkpoint"] = "checkpoint"
    path: Path  # of a run, a checkpoint or a released file
    style: tuple[Path, ...]
    count: int | None = None  # style images that are taken, evenly spaced; null: all
    several: Several = "mixed"  # per_image: each content takes one of them, chosen by the hash of its pixels

    def __post_init__(self) -> None:
        _require_style(self.style, self.count)
        object.__setattr__(self, "several", SEVERAL.get(self.several, self.several))


@dataclass(frozen=True, kw_only=True)
class MethodFileConfig:
    """Method that needs no training, bound to style images."""

    name: Literal["method"] = "method"
    file: Path  # experiments/gatys/best.yaml
    style: tuple[Path, ...]
    count: int | None = None  # style images that are taken, evenly spaced; null: all
    several: Several = "mixed"  # per_image: each content takes one of them, chosen by the hash of its pixels

    def __post_init__(self) -> None:
        _require_style(self.style, self.count)
        object.__setattr__(self, "several", SEVERAL.get(self.several, self.several))


TranslatorConfig = IdentityConfig | ColorTransferConfig | RunConfig | CheckpointConfig | MethodFileConfig


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Contents of one YAML file of experiments/compare/."""

    images: tuple[Path, ...]  # to translate
    count: int = 6  # of them that are taken, evenly spaced
    size: int | None = 256  # px; larger images are reduced to this on their longer side. null: as they are
    timed: tuple[int, ...] = (256, 512)  # px of the squares that are timed
    translators: dict[str, TranslatorConfig]  # title of the row -> translator
    metrics: tuple[str, ...] = ()  # beside the costs: names of cyclegan.metrics.table, or [all]
    targets: tuple[Path, ...] = ()  # real images that realism is measured by: of the training, if few are held out
    held_out: tuple[Path, ...] = ()  # real images that were not trained on, for the reference row
    fetch: bool = False  # download the weights that metrics lack
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("images: give image files or folders, as in [photos]")
        if not self.translators or "source" in self.translators:
            raise ValueError("translators: give one or more; the name 'source' is that of the first column")
        for name in ("count", "size", "timed"):
            value = getattr(self, name)
            if value is not None and min(value if isinstance(value, tuple) else (value,), default=1) < 1:
                raise ValueError(f"{name}: must be at least 1")
