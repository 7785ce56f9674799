"""DataSpec: everything about the data that a method is built for, known from the settings.

It is written into every release. It needs no PyTorch, so that settings are checked against each other before
PyTorch is imported.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cyclegan.images.pixel_format import RGB, PixelFormat, declared_range


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Kind of data, names and pixel formats of its image fields, and crop size."""

    kind: str = "unpaired"  # unpaired, paired, styles or glyphs
    names: dict[str, str] = field(default_factory=lambda: {"x": "x", "y": "y"})  # image field -> what users call it
    formats: dict[str, PixelFormat] = field(default_factory=lambda: {"x": RGB, "y": RGB})  # image field -> pixel format
    crop_size: int = 256  # px of the square crops that are trained on
    styles: tuple[str, ...] = ()  # names that a style index refers to: la_muse, mosaic, …; fonts
    references: int = 0  # glyphs of each reference set
    validated: bool = False  # some images are kept aside for validation

    def channels(self, *fields: str) -> tuple[int, ...]:
        """Return the numbers of channels of image fields, by default of all of them."""
        return tuple(self.formats[name].channels for name in fields or self.formats)

    def direction(self, target: str) -> tuple[str, str]:
        """Return (source field, field whose format the translations have) for the name of a target.

        Raises ValueError for a name that is no target of these data.
        """
        if self.kind == "glyphs":
            return "content", "target"
        if self.kind == "styles":
            return "content", "content"
        fields = {name: field for field, name in self.names.items()}
        if target not in fields:
            raise ValueError(f"targets: {target} is not one of {', '.join(fields)}")
        return ("x" if fields[target] == "y" else "y"), fields[target]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of what such data can be translated to, the default first."""
        if self.kind == "styles":
            return self.styles
        return (self.names["target"], *self.styles) if self.kind == "glyphs" else (self.names["y"], self.names["x"])

    @property
    def is_rgb8(self) -> bool:
        """Return whether all images are 8-bit RGB."""
        return all(format.is_rgb for format in self.formats.values())

    def as_json(self) -> dict[str, Any]:
        """Return the entry "spec" of a release; `spec_from_json` reads it."""
        formats = {name: format_as_json(format) for name, format in self.formats.items()}
        return {**asdict(self), "formats": formats, "styles": list(self.styles)}


def spec_from_json(value: Mapping[str, Any]) -> DataSpec:
    """Read the entry "spec" of a release. Raises ValueError for anything else."""
    try:
        formats = {name: format_from_json(format) for name, format in value["formats"].items()}
        return DataSpec(**{**value, "formats": formats, "styles": tuple(value["styles"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("spec: must give kind, names, formats, crop_size, styles and references") from error


def format_as_json(format: PixelFormat) -> dict[str, Any]:
    """Return channels, type and range of a pixel format."""
    return {**asdict(format), "range": list(format.bounds)}


def format_from_json(value: Mapping[str, Any]) -> PixelFormat:
    """Invert `format_as_json`. Raises ValueError for anything else."""
    try:
        return PixelFormat(**{**value, "range": declared_range(**value)})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("a pixel format must give channels, type and range") from error
