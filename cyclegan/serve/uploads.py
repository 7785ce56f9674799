"""Uploaded files as images of a bounded size, and results as PNG files.

Size       The longer side is at most `size`. A thin image keeps a shorter side of up to LEAST pixels, with a
           longer side of at most size² / LEAST. The aspect ratio is kept.
Type       8 bits a channel. Alpha, color profile and resolution are kept, as in cyclegan.model.source_image.
Note       Everything left out of the result is listed: pixels, bits, further frames or pages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.images.files import encode_raster, read_raster
from cyclegan.images.frames import count_frames
from cyclegan.images.pillow import reduced
from cyclegan.images.pixel_format import RGB
from cyclegan.images.raster import Raster
from cyclegan.model.source_image import SourceImage, finish, source_of
from cyclegan.protocols import Images

LEAST = 64  # px of the shorter side, below which no image is reduced


@dataclass(frozen=True, kw_only=True, eq=False)
class Upload:
    """An uploaded image to be translated."""

    original: SourceImage
    note: str  # in ASCII; empty if the image is all that the file holds


def read_upload(name: str, content: bytes, size: int) -> Upload:
    """Read an image from the bytes of a file; error messages use `name`. Raises UserError."""
    if not content:
        raise UserError(f"{name}: is empty; send the content of an image file")
    stored = read_raster(Path(name), RGB, content)
    raster = fitted(stored, size)
    notes = (*_first_of(count_frames(Path(name), RGB, content), content), *_left_out(stored, raster))
    return Upload(original=source_of(raster), note="; ".join(notes))


def encode_upload(image: Images, upload: Upload, about: str) -> bytes:
    """Return the content of a PNG file of a translation, with the alpha and the colors of the upload."""
    return encode_raster(finish(image, upload.original), about)


def fitted(raster: Raster, size: int) -> Raster:
    """Reduce a raster to a size and to 8 bits."""
    height, width = raster.values.shape[:2]
    return reduced(raster, max(fitted_shape(height, width, size)))


def fitted_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Return the height and the width of an image that is reduced to a size."""
    shorter, longer = sorted((height, width))
    least = min(LEAST, size)
    scale = min(1, max(size / longer, least / shorter), size * size / least / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _first_of(count: int, content: bytes) -> Iterator[str]:
    if count > 1:
        yield f"first of {count} {'pages' if content.startswith((b'II', b'MM')) else 'frames'}"


def _left_out(stored: Raster, raster: Raster) -> Iterator[str]:
    (height, width), (less_high, less_wide) = stored.values.shape[:2], raster.values.shape[:2]
    if (less_high, less_wide) != (height, width):
        yield f"reduced from {width}x{height} to {less_wide}x{less_high}"
    if stored.values.dtype != raster.values.dtype:
        yield "reduced from 16 bits to 8"
