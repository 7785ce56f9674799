"""PNG of 16 bits a channel: most have no mode in Pillow, which keeps only the upper byte of each channel.

Reads      Grey, grey with alpha, RGB, RGBA, and the transparent color of grey and RGB. RGB and RGBA are
           decoded twice, the second time with the lower byte in place of the upper one; grey with alpha is
           decoded as 8-bit RGBA, whose pixels have the same number of bytes.
Writes     1 to 4 channels, in the chunks of the standard (ISO/IEC 15948), each row as differences from the
           pixels on its left.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from cyclegan.images.formats import File, open_with_pillow
from cyclegan.images.pillow import ORIENTATION, dpi_of
from cyclegan.images.raster import Raster, Tags, split, upright

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey and alpha, RGB, RGBA
DEEP = {b"\x10\x00": "L", b"\x10\x04": "LA", b"\x10\x02": "RGB", b"\x10\x06": "RGBA"}  # bits, color type -> mode
INCH = 0.0254  # m


def deep_mode(path: Path) -> str | None:
    """Return L, LA, RGB or RGBA for a PNG file whose channels have 16 bits; None for any other file."""
    with path.open("rb") as file:
        return mode_of(file.read(26))


def mode_of(head: bytes) -> str | None:
    """Return `deep_mode` from the first bytes of a file."""
    return DEEP.get(head[24:26]) if head.startswith(SIGNATURE) else None


def read_deep(file: File, mode: str) -> Raster:
    """Read a file of 16 bits a channel."""
    with open_with_pillow(file) as picture:
        picture.load()  # EXIF and resolution may follow the pixels
        turned = picture.getexif().get(ORIENTATION, 1)
        tags = Tags(
            icc=picture.info.get("icc_profile"), dpi=dpi_of(picture), mode=picture.mode if mode == "L" else f"{mode};16"
        )
    values = upright(decode(file, mode), turned)
    if mode.endswith("A"):
        return split(values, tags)
    key = _transparent_color(file)
    alpha = None if key is None else np.where((values == key).all(axis=2), 0, 65535).astype(np.uint16)
    return Raster(values=values, alpha=alpha, tags=tags)


def decode(file: Path | File, mode: str) -> UInt16[np.ndarray, "h w c"]:
    """Decode both bytes of each channel."""
    if mode == "L":
        with Image.open(file, formats=["PNG"]) as picture:
            return np.asarray(picture).astype(np.uint16)[..., None]
    if mode == "LA":
        with Image.open(_as_rgba(file), formats=["PNG"]) as picture:
            return np.ascontiguousarray(picture).view(">u2").astype(np.uint16)
    upper, lower = (_bytes(file, mode, order).astype(np.uint16) for order in "BL")
    return upper << 8 | lower


def encode(pixels: UInt16[np.ndarray, "h w c"], tags: Tags, exif: bytes) -> bytes:
    """Encode pixels as the content of a file."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2", order="C").view(np.uint8).reshape(height, width, -1)
    rows[:, 1:] -= rows[:, :-1].copy()
    filtered = np.concatenate([np.ones((height, 1), np.uint8), rows.reshape(height, -1)], axis=1)  # 1: to the left
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0))]
    if profile := tags.profile(1 if channels < 3 else 3):
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if tags.dpi:
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", *(round(dots / INCH) for dots in tags.dpi), 1)))
    if exif:
        parts.append(_chunk(b"eXIf", exif))
    parts += [_chunk(b"IDAT", zlib.compress(filtered.tobytes())), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def _bytes(file: Path | File, mode: str, order: str) -> np.ndarray:
    """Decode the upper byte of every channel; `order` is the byte order, big- or little-endian."""
    with Image.open(file, formats=["PNG"]) as picture:
        picture.tile = [tile._replace(args=f"{mode};16{order}") for tile in picture.tile]
        return np.asarray(picture)


def _as_rgba(file: Path | File) -> File:
    """Return a PNG file of 16-bit grey and alpha with the header of 8-bit RGBA."""
    content = file.read_bytes() if isinstance(file, Path) else _all(file)
    start = len(SIGNATURE)
    header = content[start + 8 : start + 16] + b"\x08\x06" + content[start + 18 : start + 21]
    return io.BytesIO(SIGNATURE + _chunk(b"IHDR", header) + content[start + 25 :])


def _transparent_color(file: File) -> tuple[int, ...] | None:
    """Read the chunk tRNS, with 16 bits a channel."""
    content = _all(file)
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        (length,), name = struct.unpack(">I", content[at : at + 4]), content[at + 4 : at + 8]
        if name == b"tRNS":
            return struct.unpack(f">{length // 2}H", content[at + 8 : at + 8 + length // 2 * 2])
        if name == b"IDAT":
            return None
        at += length + 12
    return None


def _all(file: File) -> bytes:
    file.seek(0)
    return file.read()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
