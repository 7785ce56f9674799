"""An image to be translated, with the properties that its translation takes over from it.

Type and range  Those of the target domain. If the target domain has 8 or 16 bits a channel, the translation
                has 16 where the source or the target domain has 16 and the file format supports them, and 8
                otherwise. Other types are those of the target domain.
Taken over      Size; alpha, where the target domain and the format support it; resolution; the color profile,
                where it fits the channels (a profile for gray or CMYK does not apply to RGB). Orientation is
                applied.
Alpha           The network takes the colors laid on white, x = a c + (1 - a), with white as 1. Its
                translation G(x) gets the color c' for which a c' + (1 - a) = G(x), clipped. It is computed as
                c + (G(x) - x) / a, so that a translation of strength 0 returns the source exactly. Where
                a = 0 the color of the source stays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from cyclegan.errors import UserError
from cyclegan.images.files import holds, holds_alpha, losses, read_raster, write_raster
from cyclegan.images.pillow import reduced
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.raster import Raster
from cyclegan.images.tensors import from_raster, from_values, opacity, to_values
from cyclegan.protocols import AnyImages


class FormatPair(NamedTuple):
    """Pixel formats of the source and the target of a translation."""

    source: PixelFormat = RGB
    target: PixelFormat = RGB
    bits: int | None = None  # a channel, instead of those of the source

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"

    def with_bits(self, bits: int | None) -> "FormatPair":
        """Return a copy with this number of bits a channel; refuse where it cannot be chosen."""
        if bits is not None and self.target.range is not None:
            raise UserError(f"--bits: this model gives {self.target}, whatever the source; leave --bits out")
        return self._replace(bits=bits)

    def require_mixture(self, strength: float) -> None:
        """Refuse a partial strength where an image and its translation cannot be mixed."""
        if strength != 1 and self.source.channels != self.target.channels:
            raise UserError(f"--strength: of {self} there is no mixture; leave --strength out")

    def written(self, type: str) -> PixelFormat:
        """Return the kind of the translation of a file whose values have this type."""
        if self.bits is not None:
            return self.target.like(f"uint{self.bits}")
        deep = "uint16" in (type, self.target.type)
        return self.target.like("uint16") if deep else self.target


USUAL = FormatPair()


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceImage:
    """Image read from a file."""

    image: AnyImages  # (1, c, h, w) in [-1, 1], laid on white
    raster: Raster  # straight colors and alpha
    kind: PixelFormat


def read_source(
    path: Path, kind: PixelFormat = RGB, content: bytes | None = None, longest: int | None = None
) -> SourceImage:
    """Read a file of a kind; `content` as in `read_raster`.

    longest  Reduce 8- and 16-bit colors and grays to 8 bits and to at most so many pixels on the longer side.
    """
    raster = read_raster(path, kind, content)
    return source_of(raster if longest is None else reduced(raster, longest), kind)


def source_of(raster: Raster, kind: PixelFormat = RGB) -> SourceImage:
    """Prepare a raster of a kind for translation."""
    return SourceImage(image=from_raster(raster, kind), raster=raster, kind=kind)


def finish(image: AnyImages, original: SourceImage, kind: PixelFormat = RGB) -> Raster:
    """Return the translation (1, c, h, w) as a raster of a kind.

    It has straight colors, and the alpha and the tags of the original.
    """
    values = to_values(_without_white(image.detach().float().cpu(), original), kind)
    return Raster(values=values, alpha=original.raster.alpha, tags=original.raster.tags)


def write_translation(path: Path, image: AnyImages, original: SourceImage, kinds: FormatPair, about: str) -> list[str]:
    """Write the translation of an original; return what the file format cannot store of it."""
    raster, lost = raster_like(path.suffix, image, original, kinds)
    write_raster(path, raster, about)
    return lost


def raster_like(suffix: str, image: AnyImages, original: SourceImage, kinds: FormatPair) -> tuple[Raster, list[str]]:
    """Return the translation of an original for a file format, and what the format cannot store of it.

    A file format that cannot store 16 bits, such as .jpg, gets the type of the target domain.
    """
    wanted = kinds.written(original.raster.values.dtype.name)
    kind = wanted if holds(suffix, wanted) else kinds.target
    keeps_alpha = holds_alpha(suffix, kind)
    lost = [] if kind.type == wanted.type else [f"8 of 16 bits are lost, as {suffix} has no room for them"]
    if original.raster.alpha is not None and not keeps_alpha:
        lost.append(f"alpha is lost, as {suffix} has no room for it; laid on white")
    values = to_values(image, kind)
    raster = finish(image, original, kind) if keeps_alpha else Raster(values=values, tags=original.raster.tags)
    return raster, lost + losses(suffix, raster)


def _without_white(image: AnyImages, original: SourceImage) -> AnyImages:
    """Return the straight colors of an image that was laid on white; see the module docstring."""
    if original.raster.alpha is None:
        return image
    a = opacity(original.raster.alpha)
    seen, color = original.image, from_values(original.raster.values, original.kind)
    if image.shape != seen.shape:  # another number of channels: only the white background is known
        seen = color = torch.ones_like(image)
    changed = color + (image - seen) / a.clamp(min=torch.finfo(a.dtype).tiny)
    return torch.where(a == 1, image, torch.where(a == 0, color, changed))
