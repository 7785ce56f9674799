"""Uploaded files as images of a bounded size, and results as PNG files.

Size       The longer side is at most `size`; a thin image keeps a shorter side of up to LEAST pixels, its longer side
           being at most size² / LEAST. The aspect is kept.
Note       What is left out of a file is said: pixels, further frames or pages.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from cyclegan.errors import UserError
from cyclegan.images import from_bytes, to_bytes
from cyclegan.pictures import encode_picture, open_picture, read_picture
from cyclegan.pixels.files import read_profile

LEAST = 64  # px of the shorter side, below which no image is reduced


@dataclass(frozen=True, kw_only=True, eq=False)
class Upload:
    """An image to be translated."""

    image: Float[Tensor, "1 3 h w"]
    profile: bytes | None
    note: str  # in ASCII; empty if the image is all that the file holds


def read_upload(name: str, content: bytes, size: int) -> Upload:
    """An image from the bytes of a file; `name` is the one in error messages. Raises UserError."""
    if not content:
        raise UserError(f"{name}: is empty; send the content of an image file")
    path = Path(name)
    values, reduced = fitted(read_picture(path, content), size)
    notes = filter(None, (_first_of(path, content), reduced))
    return Upload(image=from_bytes(values), profile=read_profile(path, content), note="; ".join(notes))


def encode_upload(image: Float[Tensor, "1 3 h w"], upload: Upload, about: str) -> bytes:
    """The content of a PNG file of a translated image, in the colors of what was uploaded."""
    return encode_picture(to_bytes(image)[0].numpy(), about, upload.profile)


def fitted(values: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Reduce uint8 (h, w, 3) to a size, by Lanczos, antialiased; with what was done, empty for nothing."""
    height, width = values.shape[:2]
    shape = fitted_shape(height, width, size)
    if shape == (height, width):
        return values, ""
    resized = Image.fromarray(values).resize(shape[::-1], Image.Resampling.LANCZOS)
    return np.asarray(resized), f"reduced from {width}x{height} to {shape[1]}x{shape[0]}"


def fitted_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """The height and the width of an image that is reduced to a size."""
    shorter, longer = sorted((height, width))
    least = min(LEAST, size)
    scale = min(1, max(size / longer, least / shorter), size * size / least / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _first_of(path: Path, content: bytes) -> str:
    """What of several frames or pages is taken."""
    with open_picture(path, content) as picture:
        count, what = getattr(picture, "n_frames", 1), "pages" if picture.format == "TIFF" else "frames"
    return f"first of {count} {what}" if count > 1 else ""
