"""Image files ↔ rasters: type, range, channels, size, alpha, profile and resolution can be preserved.

Every command reads with `read_raster`, so a file that it refuses is refused by all commands with the same
message. NPY is read by cyclegan.images.npy, TIFF by cyclegan.images.tiff, PNG of 16 bits by
cyclegan.images.png16, all other formats by Pillow. Orientation is applied when reading, and not written. Of
several frames or pages, only the first is read; cyclegan.images.frames reads all of them.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cyclegan.errors import UserError, with_filename
from cyclegan.images import npy as arrays
from cyclegan.images import png16 as png
from cyclegan.images import tiff
from cyclegan.images.formats import (
    ARRAY,
    FORMATS,
    BadPictureError,
    File,
    head_of,
    open_binary,
    open_picture,
    reading,
    require_codec,
)
from cyclegan.images.pillow import described, narrowed, read_with_pillow, save_with_pillow
from cyclegan.images.pixel_format import HIGHEST, RGB, PixelFormat
from cyclegan.images.raster import Raster, Tags, joined

NPY = b"\x93NUMPY"  # the first bytes of a file
CLEAR = {"PNG", "TIFF", "WEBP", "AVIF", "HEIF", "GIF"}  # formats that have an alpha channel
WITHOUT_DPI = {"WEBP", "GIF", "AVIF", "HEIF"}
ROOM = {  # channels and types that a format holds; TIFF and NPY hold all
    "PNG": ((1, 3, 4), ("uint8", "uint16")),
    "JPEG": ((1, 3), ("uint8",)),
    "BMP": ((1, 3), ("uint8",)),
    "WEBP": ((3,), ("uint8",)),
    "GIF": ((1, 3), ("uint8",)),
    "AVIF": ((3,), ("uint8",)),
    "HEIF": ((3,), ("uint8",)),
}


def holds(suffix: str, kind: PixelFormat) -> bool:
    """Return whether a format can hold a kind.

    True for an unknown format: writing then raises the error.
    """
    channels, types = ROOM.get(FORMATS.get(suffix.lower(), ""), ((kind.channels,), (kind.type,)))
    return kind.channels in channels and kind.type in types


def holds_alpha(suffix: str, kind: PixelFormat) -> bool:
    """Return whether a format can hold alpha in addition to a kind."""
    return FORMATS.get(suffix.lower()) in CLEAR and kind.type in HIGHEST and kind.channels in (1, 3)


def losses(suffix: str, raster: Raster) -> list[str]:
    """Describe what a raster loses in a palette of 256 colors, one of which may be transparent."""
    if FORMATS.get(suffix.lower()) != "GIF":
        return []
    alpha = np.full((1, 1), 255, np.uint8) if raster.alpha is None else raster.alpha
    shown = raster.values[np.broadcast_to(alpha, raster.values.shape[:2]) > 0]
    if not np.isin(alpha, (0, 255)).all():
        return ["some colors are lost, as .gif has 256 colors and no half-transparent ones"]
    many = len(np.unique(shown, axis=0)) > 256 - (alpha == 0).any()
    return ["some colors are lost, as .gif has 256 colors"] if many else []


def read_raster(path: Path, kind: PixelFormat, content: bytes | None = None) -> Raster:
    """Read a file of a kind; the values keep the type they are stored in.

    content  Bytes of the file; the path is then only a name for messages.

    Raises BadPictureError for a file of another kind.
    """
    with open_binary(path, content) as file:
        return as_kind(_stored(file, kind.channels), kind)


def profile_of(picture: Image.Image) -> bytes | None:
    """Return the color profile of an image, if it is an RGB profile."""
    return Tags(icc=picture.info.get("icc_profile")).profile(3)


def read_profile(path: Path, content: bytes | None = None) -> bytes | None:
    """Return the color profile of a file, if it is an RGB profile; `content` as in `read_raster`."""
    with open_picture(path, content) as picture:
        return profile_of(picture)


def kind_of(path: Path, channels: int, range: tuple[float, float] | None, key: str) -> PixelFormat:
    """Return the kind of a side, from its settings and one of its files.

    key  setting that declares its range
    """
    if channels == 3 and range is None:
        return RGB
    with open_binary(path) as file:
        found = _stored(file, channels).values.dtype.name
    if range is None and found not in HIGHEST:
        raise UserError(f"{path}: holds {found}, whose range is unknown; declare it, as in {key}: [0, 1]")
    return PixelFormat(channels=channels, type=found, range=range)


def write_raster(path: Path, raster: Raster, about: str = "") -> None:
    """Write in the format of the suffix, which must hold the values; alpha is dropped if it has no alpha.

    about  Text on how the image was made, stored as the EXIF tag ImageDescription or as the comment of a GIF;
           BMP and NPY cannot store it.
    """
    form = ARRAY if path.suffix.lower() == ARRAY else FORMATS.get(path.suffix.lower())
    if form is None:
        raise BadPictureError(f"{path}: cannot write '{path.suffix}'; use one of {' '.join(FORMATS)}")
    with reading(None, path):
        require_codec(form)
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == ARRAY:
        return arrays.write_npy(path, raster.values, raster.tags)
    with with_filename(path):
        _save(path, form, raster, about)
    return None


def encode_raster(raster: Raster, about: str = "") -> bytes:
    """Encode a PNG file of 1 or 3 channels of 8 or 16 bits, with alpha if there is any."""
    file = io.BytesIO()
    _save(file, "PNG", raster, about)
    return file.getvalue()


def _save(file: Path | io.BytesIO, form: str, raster: Raster, about: str) -> None:
    values, tags, channels = raster.values, raster.tags, raster.values.shape[2]
    deep = values.dtype != np.uint8
    alpha = alpha_of(raster) if form in CLEAR and values.dtype.name in HIGHEST and channels in (1, 3) else None
    if form == "TIFF" and (deep or alpha is not None or channels not in (1, 3)):
        return tiff.write_tiff(file, values, alpha, tags, about)
    if alpha is not None:
        values = joined(values, alpha)
    if form == "PNG" and deep:
        exif = described(about).tobytes().removeprefix(b"Exif\0\0") if about else b""
        content = png.encode(values, tags, exif)
        file.write_bytes(content) if isinstance(file, Path) else file.write(content)
        return None
    return save_with_pillow(file, [values], form, about, **options_of(tags, channels, form))


def options_of(tags: Tags, channels: int, form: str) -> dict[str, Any]:
    """Return profile and resolution as Pillow's options for a format."""
    profile = {"icc_profile": tags.profile(channels)} if tags.profile(channels) else {}
    dpi = {"dpi": tags.dpi} if tags.dpi and form not in WITHOUT_DPI else {}
    return profile | dpi


def _stored(file: File, channels: int) -> Raster:
    head = head_of(file)
    if head.startswith(NPY):
        return arrays.read_npy(file)
    if head.startswith(tiff.STARTS):
        return next(tiff.read_pages(file, channels))
    mode = png.mode_of(head)
    return png.read_deep(file, mode) if mode else read_with_pillow(file, channels)


def as_kind(raster: Raster, kind: PixelFormat) -> Raster:
    """Convert a raster to the channels of a kind.

    Unless a range is declared, integers of other types become 8 or 16 bits, and integers of fewer bits than
    their type are scaled to its whole range.
    """
    values, alpha = raster.values, raster.alpha
    if alpha is not None and kind.channels == values.shape[2] + 1 != 3:
        values, alpha = joined(values, alpha), None
    found = values.shape[2]
    if found == 1 and kind.channels == 3:
        values = values.repeat(3, axis=2)
    elif found != kind.channels:
        raise ValueError(f"{_many(found)}, where {kind.channels} are expected")
    if kind.range is None and values.dtype.name not in HIGHEST:
        values = narrowed(values, raster.tags.mode)
    if kind.range is None and raster.highest is not None:
        values = (values * (np.iinfo(values.dtype).max / raster.highest)).round().astype(values.dtype)
    return Raster(values=values, alpha=alpha, tags=raster.tags)


def alpha_of(raster: Raster) -> np.ndarray | None:
    """Return alpha in the type of the values; the stored alpha may have the type of another side."""
    kind, alpha = raster.values.dtype, raster.alpha
    if alpha is None or alpha.dtype == kind:
        return alpha
    return (alpha / HIGHEST[alpha.dtype.name] * HIGHEST[kind.name]).round().astype(kind)


def _many(channels: int) -> str:
    return f"{channels} channel{'s' * (channels > 1)}"
