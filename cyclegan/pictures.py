"""Picture files ↔ 8-bit RGB arrays. Needs Pillow and NumPy only, so that checking a folder starts without PyTorch.

Array      uint8 (h, w, 3), RGB, upright: the EXIF orientation is applied on reading. For all others: cyclegan.pixels.
Reads      jpg, jpeg (jfif, jpe, jif), png, webp, tif, tiff, bmp, gif; of several frames or pages the first. Grey,
           palette, CMYK and 16-bit pictures become 8-bit RGB; alpha is laid on white.
Refuses    other formats whatever their suffix, truncated files, more than 50 million pixels, floating-point pixels and
           integers beyond 16 bits (both have no agreed range).
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cyclegan.errors import UserError, naming

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
ARRAY = ".npy"  # of any number of channels and type: see cyclegan.pixels
PLANAR, BITS = 284, 258  # TIFF tags
DESCRIPTION = 0x010E  # the EXIF and TIFF tag ImageDescription, of ASCII characters
MAX_PIXELS = 50_000_000  # a 7000×7000 picture; more is refused before it is decoded

# Pillow warns of odd metadata; what it cannot decode is an error anyway. The filter is set here, once, because
# warnings.catch_warnings around each read would not be safe in the threads that read.
warnings.filterwarnings("ignore", module="PIL")


class BadPictureError(UserError):
    """A file that is no readable picture; the message names it and why."""


@contextmanager
def open_picture(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """The file as Pillow sees it, not decoded yet; whatever fails inside the with block becomes a BadPictureError.

    content  Of a file that is in memory; then the path is a name for messages, and nothing is opened.
    """
    with reading(path if content is None else None, path):
        file = path if content is None else io.BytesIO(content)
        with Image.open(file, formats=sorted(set(FORMATS.values()))) as picture:
            require_size(path, picture)
            yield picture


def require_size(path: Path, picture: Image.Image) -> None:
    """Refuse a picture, or the frame of one that is at its turn, of too many pixels."""
    if picture.width * picture.height > MAX_PIXELS:
        raise BadPictureError(_too_large(path, f"{picture.width}×{picture.height}"))


@contextmanager
def reading(file: Path | None, name: Path) -> Iterator[None]:
    """Whatever fails inside the with block becomes a BadPictureError; `file` has to be one, if it is given."""
    try:
        if file and file.exists() and not file.is_file():
            raise OSError("it is no file")  # of a pipe, reading might never end
        yield
    except BadPictureError:
        raise
    except Image.DecompressionBombError as error:
        raise BadPictureError(_too_large(name, "its size")) from error
    except Exception as error:  # Pillow raises many classes on damaged files: OSError, SyntaxError, ValueError, …
        raise BadPictureError(f"{name}: not a readable picture ({_reason(error)}); remove or replace it") from error


def read_picture(path: Path, content: bytes | None = None) -> np.ndarray:
    """The picture as uint8 (h, w, 3) RGB, upright; `content` as of `open_picture`."""
    with open_picture(path, content) as picture:
        tags = getattr(picture, "tag_v2", {})  # of a TIFF file
        if tags.get(PLANAR) == 2 and 16 in tags.get(BITS, ()):
            raise ValueError("16 bits a channel, one channel after the other; save it interleaved")  # Pillow mixes them
        return np.asarray(to_rgb(ImageOps.exif_transpose(picture)))


def reduced(picture: np.ndarray, size: int | None) -> np.ndarray:
    """8-bit RGB with a longer side of at most `size`, by Lanczos, antialiased; smaller ones stay as they are."""
    if size is None or max(picture.shape[:2]) <= size:
        return picture
    longer = max(picture.shape[:2])
    height, width = (max(1, round(side / longer * size)) for side in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any Pillow mode as 8-bit RGB: 16-bit greys are scaled, not clipped; alpha is laid on white."""
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_grey_to_8_bit(picture)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def write_picture(path: Path, array: np.ndarray, about: str = "", **options: Any) -> None:
    """Write uint8 (h, w, 3) in the format of the suffix; JPEG at quality 95, WebP without loss.

    about    Says in the file how the picture was made: as the EXIF tag ImageDescription, which BMP has no room for.
    options  Of Pillow: icc_profile, dpi.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise BadPictureError(f"{path}: cannot write '{path.suffix}'; use one of {' '.join(FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        _save(path, array, kind, about, **options)


def encode_picture(array: np.ndarray, about: str = "", profile: bytes | None = None) -> bytes:
    """The content of a PNG file of uint8 (h, w, 3) in the colors of a profile; `about` as of `write_picture`."""
    file = io.BytesIO()
    _save(file, array, "PNG", about, icc_profile=profile)
    return file.getvalue()


def _save(file: Path | io.BytesIO, array: np.ndarray, kind: str, about: str, **options: Any) -> None:
    how: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    if about and kind != "BMP":
        options["exif"] = described(about)
    Image.fromarray(array).save(file, format=kind, **how.get(kind, {}), **options)


def described(about: str) -> Image.Exif:
    """The EXIF block that says how a picture was made."""
    exif = Image.Exif()
    exif[DESCRIPTION] = about
    return exif


def _grey_to_8_bit(picture: Image.Image) -> np.ndarray:
    """16-bit pixels, and 32-bit ones that hold 8 or 16 bits, as uint8."""
    grey = np.asarray(picture)
    if picture.mode == "F" or grey.min(initial=0) < 0 or grey.max(initial=0) > 65535:
        raise ValueError(f"pixels of type {grey.dtype} from {grey.min()} to {grey.max()}; save it with 8 or 16 bits")
    is_16_bit = picture.mode.startswith("I;16") or grey.max(initial=0) > 255
    return (grey / 257 if is_16_bit else grey).round().astype(np.uint8)


def _too_large(path: Path, size: str) -> str:
    return f"{path}: {size} is more than {MAX_PIXELS:,} pixels; make it smaller"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"its content is none of {', '.join(sorted(set(FORMATS.values())))}"
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
