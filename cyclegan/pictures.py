"""Image files ↔ 8-bit RGB arrays. Needs Pillow and NumPy only, so that checking a folder starts without PyTorch.

Array      uint8 (h, w, 3), RGB, upright: the EXIF orientation is applied. For all other kinds: cyclegan.pixels.
Reads      jpg, png, webp, tiff, bmp, gif, avif, heic (with pillow-heif) and their other names; grey, palette, CMYK and
           16-bit images become 8-bit RGB; alpha is laid on white.
Refuses    other formats whatever their suffix, truncated files, more than 50 million pixels, floating-point pixels and
           integers beyond 16 bits (both have no agreed range).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cyclegan.pixels import pillow
from cyclegan.pixels.files import encode_raster, read_raster, write_raster
from cyclegan.pixels.formats import ARRAY, FORMATS, MAX_PIXELS, BadPictureError, open_picture
from cyclegan.pixels.kind import RGB
from cyclegan.pixels.pillow import DESCRIPTION, flattened, to_rgb
from cyclegan.pixels.raster import Raster, Tags

__all__ = [
    "ARRAY",
    "DESCRIPTION",
    "FORMATS",
    "MAX_PIXELS",
    "BadPictureError",
    "encode_picture",
    "find_pictures",
    "open_picture",
    "passed_over",
    "read_picture",
    "reduced",
    "to_rgb",
    "write_picture",
]


def find_pictures(folder: Path, arrays: bool = False) -> list[Path]:
    """Every picture below a folder, nested ones too, in an order that is the same on every machine; arrays if asked."""
    suffixes = {*FORMATS, ARRAY} if arrays else set(FORMATS)
    found = (path for path in _visible(folder) if path.suffix.lower() in suffixes)
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())


def passed_over(folder: Path) -> Counter[str]:
    """How many files `find_pictures` leaves out, by suffix: a phone's .heic, notes as .txt."""
    suffixes = (path.suffix.lower() for path in _visible(folder))
    return Counter(suffix or "without suffix" for suffix in suffixes if suffix not in FORMATS)


def _visible(folder: Path) -> Iterator[Path]:
    """Every file below a folder that somebody has put there, and not a program for itself."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def read_picture(path: Path, content: bytes | None = None) -> np.ndarray:
    """The image as uint8 (h, w, 3) RGB, upright; `content`: the bytes of the file, of which the path is the name."""
    return flattened(read_raster(path, RGB, content))


def reduced(picture: np.ndarray, size: int | None) -> np.ndarray:
    """8-bit RGB with a longer side of at most `size`, by Lanczos, antialiased; smaller ones stay as they are."""
    return picture if size is None else pillow.reduced(Raster(values=picture), size).values


def write_picture(path: Path, array: np.ndarray, about: str = "") -> None:
    """Write uint8 (h, w, 3) in the format of the suffix; JPEG at quality 95, WebP without loss; `about`: how made."""
    write_raster(path, Raster(values=array), about)


def encode_picture(array: np.ndarray, about: str = "", profile: bytes | None = None) -> bytes:
    """The content of a PNG file of uint8 (h, w, 3) in the colors of a profile; `about` as of `write_picture`."""
    return encode_raster(Raster(values=array, tags=Tags(icc=profile)), about)
