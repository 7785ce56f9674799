"""What `cyclegan compare` reads: which pictures, through which translators; free of PyTorch.

Paths      of pictures: files, folders, or both. Those below datasets/<card>/ are found wherever that set is.
Results    go to runs/compare/<name of the file>/.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


def _require_style(style: tuple[Path, ...], count: int | None = None) -> None:
    if not style:
        raise ValueError("style: give one picture or more, as in [painting.jpg]")
    if count is not None and count < 1:
        raise ValueError("count: must be at least 1")


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Does nothing: what every other translator is seen against."""

    name: Literal["identity"] = "identity"


@dataclass(frozen=True, kw_only=True)
class ColorTransferConfig:
    """The Monge-Kantorovich map from the colors of the compared pictures to those of the style."""

    name: Literal["color-transfer"] = "color-transfer"
    style: tuple[Path, ...]
    flatten: bool = False  # by a 5×5 median first, which takes texture away and leaves edges

    def __post_init__(self) -> None:
        _require_style(self.style)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A trained translator between two sides."""

    name: Literal["run"] = "run"
    folder: Path  # of a run or a checkpoint, or a released file
    to: str | None = None  # the side to translate to, by name; null: Y


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """A trained stylizer, bound to its style."""

    name: Literal["checkpoint"] = "checkpoint"
    path: Path  # of a run, a checkpoint or a released file
    style: tuple[Path, ...]
    count: int | None = None  # of the style pictures that are taken, evenly spaced; null: all
    several: Literal["mixed", "shared out"] = "mixed"  # shared out: each content is painted after one of them

    def __post_init__(self) -> None:
        _require_style(self.style, self.count)


@dataclass(frozen=True, kw_only=True)
class MethodFileConfig:
    """A method that needs no training, bound to its style."""

    name: Literal["method"] = "method"
    file: Path  # experiments/gatys/best.yaml
    style: tuple[Path, ...]
    count: int | None = None  # of the style pictures that are taken, evenly spaced; null: all
    several: Literal["mixed", "shared out"] = "mixed"  # shared out: each content is painted after one of them

    def __post_init__(self) -> None:
        _require_style(self.style, self.count)


TranslatorConfig = IdentityConfig | ColorTransferConfig | RunConfig | CheckpointConfig | MethodFileConfig


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """One YAML file of experiments/compare/."""

    images: tuple[Path, ...]  # to translate
    count: int = 6  # of them that are taken, evenly spaced
    size: int | None = 256  # px; larger pictures are reduced to this on their longer side. null: as they are
    timed: tuple[int, ...] = (256, 512)  # px of the squares that are timed
    translators: dict[str, TranslatorConfig]  # column title -> what to compare
    metrics: tuple[str, ...] = ()  # beside the costs: names of cyclegan.evaluation.suite, or [all]
    targets: tuple[
        Path, ...
    ] = ()  # real ones that realism is measured by: those of the training, where few are held out
    held_out: tuple[Path, ...] = ()  # real ones that nobody trained on, for the floor
    fetch: bool = False  # download the weights that metrics lack
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("images: give picture files or folders, as in [photos]")
        if not self.translators or "source" in self.translators:
            raise ValueError("translators: give one or more; the name 'source' is that of the first column")
        for name in ("count", "size", "timed"):
            value = getattr(self, name)
            if value is not None and min(value if isinstance(value, tuple) else (value,), default=1) < 1:
                raise ValueError(f"{name}: must be at least 1")
