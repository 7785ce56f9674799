"""Image files ↔ 8-bit RGB arrays, with Pillow and NumPy only: checking a folder needs no PyTorch.

Array      uint8 (h, w, 3), RGB, upright: the EXIF orientation is applied. For all other kinds, see
           cyclegan.images.files.
Reads      jpg, png, webp, tiff, bmp, gif, avif, heic (with pillow-heif) and their other names; grey, palette,
           CMYK and 16-bit images become 8-bit RGB; alpha is laid on white.
Refuses    other formats whatever their suffix, truncated files, more than 50 million pixels, floating-point
           pixels and integers beyond 16 bits (both have no standard range).
"""

from pathlib import Path

import numpy as np

from cyclegan.images import pillow
from cyclegan.images.files import encode_raster, read_raster, write_raster
from cyclegan.images.formats import ARRAY, FORMATS, MAX_PIXELS, BadPictureError, open_picture
from cyclegan.images.pillow import DESCRIPTION, flattened, to_rgb
from cyclegan.images.pixel_format import RGB
from cyclegan.images.raster import Raster, Tags

__all__ = [
    "ARRAY",
    "DESCRIPTION",
    "FORMATS",
    "MAX_PIXELS",
    "BadPictureError",
    "encode_picture",
    "open_picture",
    "read_picture",
    "reduced",
    "to_rgb",
    "write_picture",
]


def read_picture(path: Path, content: bytes | None = None) -> np.ndarray:
    """Read an image as uint8 (h, w, 3) RGB, upright.

    content  Bytes of the file; the path is then only its name.
    """
    return flattened(read_raster(path, RGB, content))


def reduced(picture: np.ndarray, size: int | None) -> np.ndarray:
    """Reduce 8-bit RGB to a longer side of at most `size`, by antialiased Lanczos; never enlarge."""
    return picture if size is None else pillow.reduced(Raster(values=picture), size).values


def write_picture(path: Path, array: np.ndarray, about: str = "") -> None:
    """Write uint8 (h, w, 3) in the format of the suffix; JPEG at quality 95, WebP without loss.

    about  Text on how the image was made.
    """
    write_raster(path, Raster(values=array), about)


def encode_picture(array: np.ndarray, about: str = "", profile: bytes | None = None) -> bytes:
    """Encode uint8 (h, w, 3), in the colors of a profile, as a PNG file; `about` as in `write_picture`."""
    return encode_raster(Raster(values=array, tags=Tags(icc=profile)), about)
