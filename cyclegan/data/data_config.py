"""Settings of the four kinds of data: unpaired, paired, styles, glyphs. No PyTorch.

Each class inherits the settings for cropping and reading images, so that the YAML section `data` stays flat.
`data.name` selects the kind; without it, data are unpaired.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclegan.config import Variants
from cyclegan.data.cards import find_domain
from cyclegan.data.spec import DataSpec
from cyclegan.errors import printable
from cyclegan.images.pixel_format import MOST as MAX_CHANNELS
from cyclegan.images.pixel_format import RGB, PixelFormat

MAX_SIZE = 16384  # images of a batch, and pixels of a side: beyond all that is read

DATA = Variants(
    {
        "unpaired": "cyclegan.data.data_config:UnpairedConfig",
        "paired": "cyclegan.data.data_config:PairedConfig",
        "styles": "cyclegan.data.data_config:StylesConfig",
        "glyphs": "cyclegan.data.data_config:GlyphsConfig",
    }
)


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """Settings for reading batches; among them only the batch size changes the samples that are drawn."""

    batch_size: int = 1  # samples
    workers: int = 2  # threads that read ahead; no effect on what is drawn
    timeout: float = 600.0  # seconds to wait for a batch of a drive that may never answer; then training saves and ends
    cache_mb: int = 2048  # memory for decoded images, of each process; no effect on what is drawn
    cache_folder: Path | None = None  # instead: files that later runs and other processes map into their memory, too

    def __post_init__(self) -> None:
        _require_sizes(self, "batch_size", "workers")
        if self.cache_mb < 0:
            raise ValueError("cache_mb: must be at least 0")
        if self.timeout <= 0:
            raise ValueError("timeout: must be above 0")


@dataclass(frozen=True, kw_only=True)
class CropConfig(ReadingConfig):
    """Random crops of images that are resized first (CycleGAN, Sec. 7.1)."""

    load_size: int | None = 286  # images are resized to this; null: as they are
    resize: Literal["square", "shorter_side"] = "square"  # to load_size × load_size, or the shorter side, aspect kept
    crop_size: int = 256  # then a random square of this is cut out
    flip: bool = True  # and mirrored every other time
    on_bad_image: Literal["error", "skip"] = "error"  # skip: all are opened first, and the bad ones are left out …
    max_bad_fraction: float = 0.01  # … unless they are more than this share of a side, which is no accident
    validation: float = 0.0  # share of the training images that is kept aside, by hash, to choose the best weights by

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_sizes(self, "crop_size", "load_size")
        if not 0 <= self.max_bad_fraction < 1:
            raise ValueError("max_bad_fraction: must lie in 0…1, 1 excluded")
        if not 0 <= self.validation < 1:
            raise ValueError("validation: must lie in 0…1, 1 excluded")
        if self.load_size is not None and self.load_size < self.crop_size:
            raise ValueError(f"crop_size: {self.crop_size} does not fit into load_size {self.load_size}")


@dataclass(frozen=True, kw_only=True)
class SidesConfig(CropConfig):
    """Settings of two sides, X and Y: those of a domain, or any two folders."""

    name: str = ""
    domain: str | None = None  # photo2monet: X is photo, Y is monet
    x: Path | None = None  # instead of a domain: a folder of images …
    y: Path | None = None  # … and another
    channels_x: int = 3  # of the files of X: 1, 3, 4 or more; see cyclegan.images.pixel_format
    channels_y: int = 3  # of the files of Y
    range_x: tuple[float, float] | None = None  # of the values of X; null: 0…255 of 8 bits, 0…65535 of 16
    range_y: tuple[float, float] | None = None  # of the values of Y

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_places()
        for side in ("x", "y"):
            channels, range = getattr(self, f"channels_{side}"), getattr(self, f"range_{side}")
            if not 1 <= channels <= MAX_CHANNELS:
                raise ValueError(f"channels_{side}: must lie in 1…{MAX_CHANNELS}")
            if range is not None and not (-math.inf < range[0] < range[1] < math.inf):
                raise ValueError(f"range_{side}: give two finite numbers, the smaller one first")
        if self.on_bad_image == "skip" and not self.is_rgb8:
            raise ValueError("on_bad_image: skip checks 8-bit RGB; take error, or leave out channels and ranges")
        if self.validation and not self.is_rgb8:
            raise ValueError("validation: compares 8-bit RGB; set it to 0, or leave out channels and ranges")

    def _require_places(self) -> None:
        if (self.domain is None) == (self.x is None and self.y is None) or (self.x is None) != (self.y is None):
            raise ValueError("domain: give either a domain or both folders x and y")

    def is_usual(self, side: Literal["x", "y"]) -> bool:
        """Return whether a side is 8-bit RGB, to which every image can be converted."""
        return getattr(self, f"channels_{side}") == 3 and getattr(self, f"range_{side}") is None

    @property
    def is_rgb8(self) -> bool:
        """Return whether both sides are 8-bit RGB."""
        return self.is_usual("x") and self.is_usual("y")

    @property
    def side_names(self) -> tuple[str, str]:
        """Return the names of X and Y: those of the domain, or of the folders."""
        if self.domain is None:
            return names_of(self.x or Path(), self.y or Path())
        domain = find_domain(self.domain)
        return domain.x, domain.y

    @property
    def spec(self) -> DataSpec:
        """Return the description of the data that a method is built for.

        The types of the pixels are known only once a file has been opened.
        """
        name_x, name_y = self.side_names
        formats = {side: self._format(side) for side in ("x", "y")}
        return DataSpec(
            kind=self.name,
            names={"x": name_x, "y": name_y},
            formats=formats,
            crop_size=self.crop_size,
            validated=self.validation > 0,
        )

    def _format(self, side: str) -> PixelFormat:
        range = getattr(self, f"range_{side}")
        type = "uint8" if range is None else "float32"  # stands for any type with a declared range
        return PixelFormat(channels=getattr(self, f"channels_{side}"), type=type, range=range)


@dataclass(frozen=True, kw_only=True)
class UnpairedConfig(SidesConfig):
    """Images of X and Y, drawn independently of each other; for AdaIN, X is content and Y is style."""

    name: Literal["unpaired"] = "unpaired"


@dataclass(frozen=True, kw_only=True)
class PairedConfig(SidesConfig):
    """Pairs of X and Y: from a domain of pairs, from two folders matched by file name, or combined images.

    A combined image holds both images of a pair side by side.
    """

    name: Literal["paired"] = "paired"
    combined: Path | None = None  # folder of images A|B, with sub-folders train and test or without (pix2pix)
    direction: Literal["a2b", "b2a"] = "a2b"  # of combined: X is the left half, or the right one

    def _require_places(self) -> None:
        if self.combined is None:
            super()._require_places()
        elif (self.domain, self.x, self.y) != (None, None, None):
            raise ValueError("combined: give either this, a domain, or both folders x and y")

    @property
    def side_names(self) -> tuple[str, str]:
        """Return the names of X and Y; the halves of combined images are named "a" and "b"."""
        if self.combined is None:
            return super().side_names
        return ("a", "b") if self.direction == "a2b" else ("b", "a")


@dataclass(frozen=True, kw_only=True)
class StylesConfig(CropConfig):
    """Content images, and one or several style images whose file names are the names of the targets."""

    name: Literal["styles"] = "styles"
    domain: str | None = None  # contents: X of this domain …
    contents: Path | None = None  # … or a folder
    styles: tuple[Path, ...]
    style_size: int | None = None  # px of the longer side; larger style images are reduced; null: none is

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_sizes(self, "style_size")
        if (self.domain is None) == (self.contents is None):
            raise ValueError("domain: give either a domain or a folder of contents")
        stems = [path.stem for path in self.styles]
        if not stems or len(set(stems)) < len(stems):
            raise ValueError("styles: give one image or more, each with a name of its own")

    @property
    def spec(self) -> DataSpec:
        """Return the data description for a method: field `content`, and the style names."""
        content = find_domain(self.domain).x if self.domain is not None else (self.contents or Path()).absolute().name
        return DataSpec(
            kind=self.name,
            names={"content": content},
            formats={"content": RGB},
            crop_size=self.crop_size,
            styles=tuple(path.stem for path in self.styles),
            validated=self.validation > 0,
        )


@dataclass(frozen=True, kw_only=True)
class GlyphsConfig(ReadingConfig):
    """Table of glyphs, fonts × characters.

    The last fonts and characters, by a share of each, are novel: they are not seen in training. Parts of the
    table (EMD, Sec. 4.1): D1 known fonts, known characters; D2 known fonts, novel characters; D3 novel fonts,
    known characters; D4 novel fonts, novel characters.
    """

    name: Literal["glyphs"] = "glyphs"
    fonts: tuple[Path, ...]  # sheets of glyphs, one font each: see cyclegan.data.glyphs
    characters: str  # the characters of a sheet, in order
    size: int = 80  # px of a cell
    references: int = 10  # r: glyphs of a style set and of a content set
    source_font: str | None = None  # name of the font that translation starts from (zi2zi, Rewrite)
    novel: float = 0.25  # share of the fonts and of the characters

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_sizes(self, "size", "references")
        names = [path.stem for path in self.fonts]
        if len(set(names)) < max(2, len(names)):
            raise ValueError("fonts: give two or more, each with a name of its own")
        if len(set(self.characters)) < max(2, len(self.characters)):
            raise ValueError("characters: give two or more, each once")
        if not 0 < self.novel < 1:
            raise ValueError("novel: must lie between 0 and 1")
        if self.source_font is not None and self.source_font not in names:
            raise ValueError(f"source_font: {self.source_font} is not one of {', '.join(names)}")

    @property
    def spec(self) -> DataSpec:
        """Return the data description for a method: r style and r content glyphs give a target glyph."""
        grey = PixelFormat(channels=1)
        return DataSpec(
            kind=self.name,
            names={"style": "style", "content": "content", "target": "glyph"},
            formats={
                "style": PixelFormat(channels=self.references),
                "content": PixelFormat(channels=self.references),
                "target": grey,
            },
            crop_size=self.size,
            styles=tuple(path.stem for path in self.fonts),
            references=self.references,
        )


def names_of(x: Path, y: Path) -> tuple[str, str]:
    """Return the names of two folders as sides: their own names, or "x" and "y" if these are equal."""
    name_x, name_y = printable(x.absolute().name), printable(y.absolute().name)
    return (name_x, name_y) if name_x != name_y else ("x", "y")


def _require_sizes(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 1 <= value <= MAX_SIZE:
            raise ValueError(f"{name}: must be at {'least 1' if value < 1 else f'most {MAX_SIZE}'}")
