"""Image formats by suffix and by content, and the opening of files; every failure is a BadPictureError.

HEIC       needs the package pillow-heif, AVIF needs Pillow 11.3 or newer; without them the message says so.
Others     that are recognized but not read are named in the message: PDF, Photoshop, JPEG XL, …
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from PIL import Image, UnidentifiedImageError

from cyclegan.errors import UserError

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jif": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
ARRAY = ".npy"  # any number of channels and any type
ALWAYS = ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"]  # formats that every Pillow reads
MAX_PIXELS = 50_000_000  # a 7000×7000 image; larger ones are refused before they are decoded
File: TypeAlias = io.BufferedReader | io.BytesIO
HEAD = 64  # bytes that are enough to identify a format
UNREAD = {  # first bytes -> formats that are recognized and not read
    b"8BPS": "Photoshop (PSD)",
    b"%PDF": "PDF",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"SIMPLE  =": "FITS",
    b"#?RADIANCE": "Radiance HDR",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"DDS ": "DDS",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"\x89HDF": "HDF5",
    b"PK\x03\x04": "a ZIP archive",
}
HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # brands of ISO 23008-12

# Pillow warns of odd metadata; what it cannot decode is an error anyway. The filter is set here, once, because
# warnings.catch_warnings around each read would not be safe in the threads that read.
warnings.filterwarnings("ignore", module="PIL")


class BadPictureError(UserError):
    """Error for a file that is not a readable image; the message names it and gives the reason."""


@contextmanager
def open_binary(path: Path, content: bytes | None = None) -> Iterator[File]:
    """Open a file, or its bytes, for reading; every error inside the with block becomes a BadPictureError.

    content  Bytes of the file; the path is then only a name for messages.
    """
    opened = (lambda: path.open("rb")) if content is None else (lambda: io.BytesIO(content))
    with reading(path if content is None else None, path), opened() as file:
        yield file


@contextmanager
def open_picture(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open a file with Pillow, without decoding it; `content` and errors as in `open_binary`."""
    with open_binary(path, content) as file, open_with_pillow(file) as picture:
        yield picture


@contextmanager
def open_with_pillow(file: File) -> Iterator[Image.Image]:
    """Open a file object with Pillow, without decoding it.

    Raises ValueError for a file that is too large, has no decoder, or is no image.
    """
    file.seek(0)
    with Image.open(file, formats=_formats(head_of(file))) as picture:
        require_size(picture)
        yield picture


def require_size(picture: Image.Image) -> None:
    """Raise TooLargeError for an image, or the current frame of an animation, with too many pixels."""
    if picture.width * picture.height > MAX_PIXELS:
        raise TooLargeError(f"{picture.width}×{picture.height}")


@contextmanager
def reading(file: Path | None, name: Path) -> Iterator[None]:
    """Turn every error inside the with block into a BadPictureError; `file`, if given, must be a file."""
    try:
        if file and file.exists() and not file.is_file():
            raise OSError("it is no file")  # reading a pipe might never end
        yield
    except BadPictureError:
        raise
    except NeedsPackageError as error:
        raise BadPictureError(f"{name}: {error}") from error
    except TooLargeError as error:
        raise BadPictureError(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:
        raise BadPictureError(f"{name}: {TooLargeError('its size')}") from error
    except Exception as error:  # Pillow raises many classes on damaged files: OSError, SyntaxError, ValueError, …
        raise BadPictureError(f"{name}: not a readable picture ({_reason(error)}); remove or replace it") from error


class TooLargeError(ValueError):
    """Error for an image with too many pixels."""

    def __init__(self, size: str, most: int = MAX_PIXELS, remedy: str = "make it smaller") -> None:
        super().__init__(f"{size} is more than {most:,} pixels; {remedy}")


class NeedsPackageError(ValueError):
    """Error for a format whose decoder is not installed."""


def head_of(file: File) -> bytes:
    """Return the first bytes; the file is then at its beginning again."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    return head


def require_codec(form: str) -> None:
    """Raise NeedsPackageError for a format that neither this Pillow nor an installed package supports."""
    {"AVIF": _avif, "HEIF": _heif}.get(form, str)()


def _formats(head: bytes) -> list[str]:
    """Return the decoders that are allowed to open a file with these first bytes."""
    brands = {head[at : at + 4] for at in (8, *range(16, HEAD, 4))} if head[4:8] == b"ftyp" else set()
    if brands & {b"avif", b"avis"}:
        return [_avif()]
    if brands & HEIC:
        return [_heif()]
    for start, name in UNREAD.items():
        if head.startswith(start):
            raise ValueError(f"it is {name}, which is not read; save it as PNG or TIFF")
    return ALWAYS


def _avif() -> str:
    try:
        from PIL import AvifImagePlugin
    except ImportError:
        supported = False
    else:
        supported = AvifImagePlugin.SUPPORTED
    if not supported:
        raise NeedsPackageError("AVIF: pip install --upgrade pillow")
    return "AVIF"


def _heif() -> str:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise NeedsPackageError("HEIC: pip install pillow-heif") from error
    register_heif_opener()
    return "HEIF"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"its content is none of {', '.join(ALWAYS)}"
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
