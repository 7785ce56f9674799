"""A picture to be translated, with what its translation takes over from it.

Type and range  Those of the side that is translated to. Of a side of 8 or 16 bits a channel, the translation has 16
                where the source or the side has them and the format has room, else 8; other types are the side's.
Taken over      Size; alpha, where side and format have it; resolution; the color profile, where it fits the channels
                (one for greys or inks says nothing of RGB). Orientation is applied. The network sees what is
                transparent on white.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images import from_values, to_values
from cyclegan.pixels.files import holds, read_raster, write_raster
from cyclegan.pixels.kind import RGB, Kind
from cyclegan.pixels.raster import Raster, Tags
from cyclegan.protocols import AnyImages


class Kinds(NamedTuple):
    """Of a translation."""

    source: Kind = RGB
    target: Kind = RGB
    bits: int | None = None  # a channel, instead of those of the source

    def __str__(self) -> str:
        return f"{self.source} to {self.target}"

    def with_bits(self, bits: int | None) -> "Kinds":
        """The same with so many bits a channel, where these can be chosen."""
        if bits is not None and self.target.range is not None:
            raise UserError(f"--bits: this model gives {self.target}, whatever the source; leave --bits out")
        return self._replace(bits=bits)

    def require_mixture(self, strength: float) -> None:
        """Say where there is nothing between a picture and its translation."""
        if strength != 1 and self.source.channels != self.target.channels:
            raise UserError(f"--strength: of {self} there is no mixture; leave --strength out")

    def written(self, type: str) -> Kind:
        """The kind of the translation of a file whose values have a type."""
        if self.bits is not None:
            return self.target.like(f"uint{self.bits}")
        deep = "uint16" in (type, self.target.type)
        return self.target.like("uint16") if deep else self.target


USUAL = Kinds()


@dataclass(frozen=True, kw_only=True, eq=False)
class Original:
    """What has been read of a file."""

    image: AnyImages
    type: str
    alpha: np.ndarray | None
    tags: Tags


def read_original(path: Path, kind: Kind) -> Original:
    """A file of a kind."""
    return original_of(read_raster(path, kind), kind)


def original_of(raster: Raster, kind: Kind) -> Original:
    """A raster of a kind, to be translated."""
    image = from_values(raster.values, kind)
    return Original(image=image, type=raster.values.dtype.name, alpha=raster.alpha, tags=raster.tags)


def write_like(path: Path, image: AnyImages, original: Original, kinds: Kinds, about: str) -> None:
    """The translation of an original, in the format of the suffix."""
    write_raster(path, raster_like(path.suffix, image, original, kinds), about)


def raster_like(suffix: str, image: AnyImages, original: Original, kinds: Kinds) -> Raster:
    """The translation of an original; a format without room for its type, as .jpg for 16 bits, has the side's."""
    kind = kinds.written(original.type)
    values = to_values(image, kind if holds(suffix, kind) else kinds.target)
    return Raster(values=values, alpha=original.alpha, tags=original.tags)
