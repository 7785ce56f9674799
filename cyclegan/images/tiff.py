"""TIFF files ↔ rasters: Pillow reads 8 bits in up to four channels, tifffile everything else.

Reads      Interleaved, planar, big-endian, BigTIFF, 1 to 32 bits. Compressions that tifffile cannot decode,
           such as LZW and Zstandard, are decompressed by Pillow's libtiff, strip by strip.
Pages      Each page is an image of its own, except thumbnails and masks. The pages of a grey file become
           channels if the number of channels asked for equals the number of pages, except 1 and 3: three
           pages are three grey images.
Writes     Interleaved, without loss; colors are multiplied by alpha if they were in the source.
"""

import io
import logging
import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from cyclegan.images.formats import File
from cyclegan.images.npy import require_image
from cyclegan.images.pillow import read_with_pillow
from cyclegan.images.raster import Raster, Tags, joined, split, upright

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of a file
ALPHA, PREMULTIPLIED = 2, 1  # of the TIFF tag ExtraSamples
WHITE_IS_ZERO, BLACK_IS_ZERO, COLOR, INKS = 0, 1, 2, 5  # of the TIFF tag PhotometricInterpretation
GREY = (WHITE_IS_ZERO, BLACK_IS_ZERO)
SMALLER, MASK = 1, 4  # bits of the TIFF tag NewSubfileType
INCH, UNITS = 2, {2: 1.0, 3: 2.54}  # of the TIFF tag ResolutionUnit: inch, centimeter -> of them in an inch
CODECS = {  # tifffile's names -> their usual names
    "ZSTD": "Zstandard",
    "ZSTD_DEPRECATED": "Zstandard",
    "DEFLATE": "Deflate",
    "ADOBE_DEFLATE": "Deflate",
    "WEBP": "WebP",
    "JPEG2000": "JPEG 2000",
    "JPEGXL": "JPEG XL",
}
FLOATING_POINT = 3  # of the TIFF tag Predictor
RAW = 1  # no compression
UNSURE = (50000, 50001, 34887)  # Zstandard, WebP and LERC: tifffile's decoders may lack a library of their own
BY_LIBTIFF = TiffImagePlugin.COMPRESSION_INFO

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # unreadable files raise an error anyway


def read_pages(file: File, channels: int) -> Iterator[Raster]:
    """Read images one by one. Raises ValueError, which names the reason, for unsupported files."""
    opened = _opened(file)
    if opened is None:
        yield read_with_pillow(file, channels)
        return
    for page in _images(opened, channels):
        yield _read(file, opened, page, channels)


def count_pages(file: File, channels: int) -> int:
    """Return the number of images that `read_pages` yields."""
    opened = _opened(file)
    return 1 if opened is None else sum(1 for _ in _images(opened, channels))


def _opened(file: File) -> Any:
    """Open a file; None if tifffile cannot start reading it, so that Pillow reports what is wrong."""
    from tifffile import TiffFile

    try:
        opened = TiffFile(file)
        describe(opened.pages[0])
    except Exception:
        return None
    return opened


def _images(opened: Any, channels: int) -> Iterator[Any]:
    """Yield pages at full size; only the first if all of them are the channels of one image."""
    yield opened.pages[0]
    if len(opened.pages) > 1 and not _in_pages(opened, opened.pages[0], channels):
        yield from (page for page in opened.pages[1:] if not _value(page, 254, 0) & (SMALLER | MASK))


def _read(file: File, opened: Any, page: Any, channels: int) -> Raster:
    if not _is_for_pillow(opened, page, channels):
        return _read_pages(opened, page, channels)
    try:
        return replace(read_with_pillow(file, channels, page.index), highest=_highest(page))
    except UnidentifiedImageError:
        return _read_pages(opened, page, channels)
    except (OSError, KeyError) as error:
        raise ValueError(f"{describe(page)}: {error}") from error


def describe(page: Any) -> str:
    """Describe a page, as in "TIFF of 3 × float32"."""
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    kind = page.dtype.name if bits == page.dtype.itemsize * 8 else f"{bits}-bit {page.dtype.name}"
    colors = "" if page.photometric in (*GREY, COLOR, INKS) else f", {page.photometric.name}"
    return f"TIFF of {page.samplesperpixel} × {kind}{colors}"


def write_tiff(
    file: Path | io.BytesIO, values: np.ndarray, alpha: np.ndarray | None, tags: Tags, about: str, append: bool = False
) -> None:
    """Write interleaved, without loss; as a further page if `append`."""
    from tifffile import imwrite

    how: dict[str, Any] = {"photometric": "rgb" if values.shape[2] == 3 else "minisblack", "compression": "zlib"}
    how |= {"iccprofile": tags.profile(values.shape[2]), "description": about or None, "metadata": None}
    if alpha is not None:
        how["extrasamples"] = ["assocalpha" if tags.premultiplied else "unassalpha"]
        values = joined(values, alpha, tags.premultiplied)
    if values.shape[2] > 1:
        how["planarconfig"] = "contig"
    if tags.dpi:
        how |= {"resolution": tags.dpi, "resolutionunit": "INCH"}
    imwrite(file, values if values.shape[2] > 1 else values[..., 0], append=append, **how)


def _is_for_pillow(file: Any, page: Any, channels: int) -> bool:
    """Return whether Pillow reads an image correctly.

    It does for single bits and palettes, 8-bit colors, and greys of 12 bits.
    """
    if file.is_bigtiff and file.byteorder == ">":
        return False  # Pillow does not read such files
    if page.dtype == np.bool_ or page.photometric not in (*GREY, COLOR, INKS):
        return page.dtype.itemsize == 1
    if page.dtype == np.uint16 and page.samplesperpixel == 1 and page.bitspersample == 12:
        return True  # tifffile does not unpack 12 bits
    if page.dtype != np.uint8 or (page.samplesperpixel > 1 and page.photometric in GREY):
        return False
    if page.extrasamples and page.extrasamples[0] == PREMULTIPLIED and _decoder(page) is not None:
        return False  # Pillow rounds down
    if channels not in (1, 3) and page.photometric != INKS:
        return channels != page.samplesperpixel and not _in_pages(file, page, channels)
    return True


def _in_pages(file: Any, page: Any, channels: int) -> bool:
    """Return whether the pages are the channels of one image."""
    if page.samplesperpixel != 1 or page.photometric not in GREY or channels in (1, 3) or channels != len(file.pages):
        return False
    return all((other.shape, other.dtype) == (page.shape, page.dtype) for other in file.pages)


def _read_pages(opened: Any, first: Any, channels: int) -> Raster:
    what = describe(first)
    if first.photometric not in (*GREY, COLOR, INKS):
        raise ValueError(f"{what}; save it as RGB or grey")
    if first.imagedepth != 1:
        raise ValueError(f"{what}, a volume of depth {first.imagedepth}; save it as pages")
    pages = list(opened.pages) if _in_pages(opened, first, channels) else [first]
    found = channels if len(pages) > 1 else first.samplesperpixel
    require_image((first.imagelength, first.imagewidth, found), first.dtype, what)
    values = np.concatenate([_pixels(page, what) for page in pages], axis=2)
    values = upright(values, _value(first, 274, 1))
    if first.photometric == WHITE_IS_ZERO:
        values = (_highest(first) or np.iinfo(values.dtype).max) - values
    premultiplied = bool(first.extrasamples) and first.extrasamples[0] == PREMULTIPLIED
    tags = Tags(icc=_value(first, 34675), dpi=_dpi(first), mode=what, premultiplied=premultiplied)
    return _colors(values, tags, first, channels)


def _colors(values: np.ndarray, tags: Tags, page: Any, channels: int) -> Raster:
    """Convert inks to RGB, and split alpha off unless its channels are asked for."""
    highest = _highest(page)
    if page.photometric == INKS and channels == 3 and page.samplesperpixel >= 4 and values.dtype.kind == "u":
        return Raster(values=_without_inks(values, highest or np.iinfo(values.dtype).max), tags=tags, highest=highest)
    extra = int(page.extrasamples[0]) if page.extrasamples else 0
    has_alpha = extra in (ALPHA, PREMULTIPLIED) and values.dtype in (np.uint8, np.uint16) and highest is None
    if has_alpha and values.shape[2] != channels and len(page.extrasamples) == 1:
        return split(values, tags)
    if page.photometric == COLOR and channels == 3 and values.shape[2] > 3:
        values = values[..., :3]  # further channels are dropped, as Pillow does
    return Raster(values=values, tags=tags, highest=highest)


def _without_inks(values: np.ndarray, highest: int) -> np.ndarray:
    """Convert cyan, magenta, yellow and black to RGB, as Pillow does: (1 - ink) (1 - black)."""
    paper = highest - values.astype(np.float64)
    return (paper[..., :3] * paper[..., 3:4] / highest).round().astype(values.dtype)


def _pixels(page: Any, what: str) -> np.ndarray:
    """Read pixels as stored, (h, w, c)."""
    decoder = _decoder(page)
    if decoder is None:
        codec = CODECS.get(page.compression.name, page.compression.name)
        codec += " with predictor 3" if page.predictor == FLOATING_POINT else ""
        raise ValueError(f"{what}, {codec}: there is no decoder for it; save it uncompressed or with Deflate")
    if decoder == "Pillow":
        return _decompressed(page)
    values: np.ndarray = page.asarray()
    planar = page.samplesperpixel > 1 and page.planarconfig == 2
    values = np.moveaxis(values, 0, -1) if planar else values
    return values.reshape(page.imagelength, page.imagewidth, -1)


def _decoder(page: Any) -> str | None:
    """Return the library that decompresses an image, if there is one."""
    from tifffile import TIFF

    if page.predictor not in TIFF.UNPREDICTORS:
        return None
    if page.compression in UNSURE or page.compression not in TIFF.DECOMPRESSORS:
        return "Pillow" if page.compression in BY_LIBTIFF else None
    return "tifffile"


def _decompressed(page: Any) -> np.ndarray:
    """Read as `_pixels` does, but decompress each strip or tile with Pillow; tifffile does the rest."""
    compression, order = page.compression, page.fillorder
    page.compression, page.fillorder = RAW, 1
    values = np.zeros(page.shaped, page.dtype)  # (separate samples, depth, length, width, interleaved samples)
    _, _, length, width, _ = page.shaped
    for i, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        page.parent.filehandle.seek(offset)
        content = page.parent.filehandle.read(count)
        content = inflated(content, _bytes_of_segment(page, i), compression, order)
        segment, (plane, _, top, left, _), _ = page.decode(content, i)
        values[plane, 0, top : top + segment.shape[1], left : left + segment.shape[2]] = segment[
            0, : length - top, : width - left
        ]
    return np.concatenate(list(values[:, 0]), axis=2)


def _bytes_of_segment(page: Any, index: int) -> int:
    """Return the decompressed size of a strip or tile in bytes; the last strip may have fewer rows."""
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if page.is_tiled:
        rows, columns = page.tilelength, page.tilewidth
    else:
        strips = math.ceil(page.imagelength / page.rowsperstrip)
        rows = min(page.rowsperstrip, page.imagelength - index % strips * page.rowsperstrip)
        columns = page.imagewidth
    return rows * math.ceil(columns * samples * page.bitspersample / 8)


def inflated(content: bytes, size: int, compression: int, fill_order: int = 1) -> bytes:
    """Decompress bytes of TIFF to `size` bytes.

    They are given to libtiff as a grey image of one row.
    """
    entries = [(256, size), (257, 1), (258, 8), (259, compression), (262, BLACK_IS_ZERO), (266, fill_order)]
    start = 8 + 2 + 12 * (len(entries) + 4) + 4
    entries += [(273, start), (277, 1), (278, 1), (279, len(content))]
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + bytes(4)
    with Image.open(io.BytesIO(head + content), formats=["TIFF"]) as picture:
        return picture.tobytes()


def _highest(page: Any) -> int | None:
    """Return the largest value of integers with fewer bits than their type; None for others."""
    bits = page.bitspersample
    if page.dtype.kind != "u" or not isinstance(bits, int) or bits == page.dtype.itemsize * 8:
        return None
    return 2**bits - 1


def _value(page: Any, code: int, default: Any = None) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _dpi(page: Any) -> tuple[float, float] | None:
    ratios, unit = (_value(page, 282), _value(page, 283)), _value(page, 296, INCH)
    if None in ratios or unit not in UNITS or any(0 in ratio for ratio in ratios):
        return None
    across, down = (over / under * UNITS[unit] for over, under in ratios)
    return across, down
