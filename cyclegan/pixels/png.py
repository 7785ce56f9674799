"""PNG with 16 bits for each of several channels, for which Pillow has no mode: it keeps the upper byte of each.

Reads      RGB and RGBA: Pillow decodes twice, the second time as if the lower byte were the upper one.
Writes     1, 3 or 4 channels, by the chunks of the standard (ISO/IEC 15948), each row as differences to the pixels on
           its left.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from cyclegan.pixels.raster import Tags

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey and alpha, RGB, RGBA
RAW = {b"\x10\x02": "RGB", b"\x10\x06": "RGBA"}  # bits and color type, as they stand in the file -> mode
INCH = 0.0254  # m


def deep_mode(path: Path) -> str | None:
    """RGB or RGBA of a PNG file whose channels have 16 bits; None for any other file."""
    with path.open("rb") as file:
        head = file.read(26)
    return RAW.get(head[24:26]) if head.startswith(SIGNATURE) else None


def decode(path: Path, mode: str) -> UInt16[np.ndarray, "h w c"]:
    """What is stored, both bytes of each channel."""
    upper, lower = (_bytes(path, mode, order).astype(np.uint16) for order in "BL")
    return upper << 8 | lower


def _bytes(path: Path, mode: str, order: str) -> np.ndarray:
    """The upper byte of every channel of numbers that are in this order, big- or little-endian."""
    with Image.open(path, formats=["PNG"]) as picture:
        picture.tile = [tile._replace(args=f"{mode};16{order}") for tile in picture.tile]
        return np.asarray(picture)


def encode(pixels: UInt16[np.ndarray, "h w c"], tags: Tags, exif: bytes) -> bytes:
    """The content of a file."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2", order="C").view(np.uint8).reshape(height, width, -1)
    rows[:, 1:] -= rows[:, :-1].copy()
    filtered = np.concatenate([np.ones((height, 1), np.uint8), rows.reshape(height, -1)], axis=1)  # 1: to the left
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPES[channels], 0, 0, 0))]
    if profile := tags.profile(min(channels, 3)):
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if tags.dpi:
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", *(round(dots / INCH) for dots in tags.dpi), 1)))
    if exif:
        parts.append(_chunk(b"eXIf", exif))
    parts += [_chunk(b"IDAT", zlib.compress(filtered.tobytes())), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
