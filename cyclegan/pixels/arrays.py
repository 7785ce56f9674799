"""Pictures that are arrays: .npy files, and TIFF files of what Pillow has no mode for.

NPY        (h, w) or (h, w, c); never a pickle. Its header is looked at before anything is read.
TIFF       By tifffile, interleaved, planar, or a page for each channel; uncompressed, Deflate or PackBits. Written
           interleaved. For LZW it wants another package: 16-bit greys are Pillow's then, others are refused.
"""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from cyclegan.pictures import MAX_PIXELS
from cyclegan.pixels.kind import MOST, TYPES
from cyclegan.pixels.raster import Raster, Tags, split, upright

MAX_BYTES = 2**31
ALPHA, PREMULTIPLIED = 2, 1  # of the TIFF tag ExtraSamples
WHITE_IS_ZERO, BLACK_IS_ZERO, COLOR = range(3)  # of the TIFF tag PhotometricInterpretation
GREY = (WHITE_IS_ZERO, BLACK_IS_ZERO)
SMALLER, MASK = 1, 4  # bits of the TIFF tag NewSubfileType
INCH, UNITS = 2, {2: 1.0, 3: 2.54}  # of the TIFF tag ResolutionUnit: inch, centimeter -> of them in an inch

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it cannot read is an error anyway


def read_npy(path: Path) -> Raster:
    """Raises ValueError for what is no picture."""
    with path.open("rb") as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read_header(file)
        _require_picture(shape, kind)
        promised = file.tell() + math.prod(shape) * kind.itemsize
    if path.stat().st_size < promised:
        raise ValueError(f"it ends after {path.stat().st_size} of {promised} bytes")
    values = np.load(path, allow_pickle=False)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return Raster(values=values.reshape(*shape[:2], -1), tags=Tags(flat=len(shape) == 2))


def pages_of(path: Path, channels: int = 1) -> list[int]:
    """Positions of the pages of a TIFF file; of one with a page for each of several channels that of the first.

    Thumbnails, smaller copies and masks are no pages.
    """
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            listed = enumerate(file.pages)
            found = [number for number, page in listed if not number or not _value(page, 254, 0) & (SMALLER | MASK)]
    except Exception:  # see is_simple_tiff
        return [0]
    return found[:1] if 1 < channels == len(found) else found


def is_simple_tiff(path: Path, index: int | None = None) -> bool:
    """Whether Pillow is to read a page: 8 bits of up to four channels, and 16-bit greys of which only it can."""
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            page: Any = file.pages[index or 0]
            is_grey = page.dtype == np.uint16 and page.samplesperpixel == 1 and page.photometric == BLACK_IS_ZERO
            if is_grey and (index is not None or len(file.pages) == 1) and not _can_decode(page):
                return True
            return page.dtype in (np.uint8, np.bool_) and (page.samplesperpixel == 1 or page.photometric not in GREY)
    except Exception:  # of what it cannot even begin to read, Pillow says what is wrong
        return True


def read_tiff(path: Path, channels: int, index: int | None = None) -> Raster:
    """What is stored, in the page at `index`; without, a file with a page for each channel is read as one picture.

    Raises ValueError for what is no picture.
    """
    from tifffile import TiffFile

    with TiffFile(path) as file:
        page: Any = file.pages[index or 0]
        series = file.series[0]
        if page.photometric not in (*GREY, COLOR):
            raise ValueError(f"{page.photometric.name.lower()} of {page.dtype}; save it as RGB or grey")
        if not _can_decode(page):
            raise ValueError(f"{page.dtype} in a compression that is not read; save it uncompressed or with Deflate")
        single = page.samplesperpixel == 1 and index is None
        in_pages = single and 1 < channels == len(series) == math.prod(series.shape[:-2])
        found = channels if in_pages else page.samplesperpixel
        _require_picture((page.imagelength, page.imagewidth, found), page.dtype)
        values = series.asarray().reshape(channels, *page.shape) if in_pages else page.asarray()
        if in_pages or (page.samplesperpixel > 1 and page.planarconfig == 2):  # planar
            values = np.moveaxis(values, 0, -1)
        values = upright(values.reshape(*values.shape[:2], -1), _value(page, 274, 1))
        if page.photometric == WHITE_IS_ZERO:
            values = np.iinfo(values.dtype).max - values
        tags = Tags(icc=_value(page, 34675), dpi=_dpi(page))
        extra = int(page.extrasamples[0]) if page.extrasamples else 0
    if extra in (ALPHA, PREMULTIPLIED) and values.shape[2] != channels and values.dtype.kind == "u":
        return split(values, tags, premultiplied=extra == PREMULTIPLIED)
    return Raster(values=values, tags=tags)


def write_npy(path: Path, values: np.ndarray, tags: Tags) -> None:
    """(h, w, c), or (h, w) if the source had no axis for its channels."""
    with path.open("wb") as file:  # np.save would add a suffix to a name that ends in .NPY
        np.save(file, values[..., 0] if tags.flat and values.shape[2] == 1 else values, allow_pickle=False)


def write_tiff(
    path: Path, values: np.ndarray, alpha: np.ndarray | None, tags: Tags, about: str, append: bool = False
) -> None:
    """Interleaved, without loss; a further page if `append`."""
    from tifffile import imwrite

    how: dict[str, Any] = {"photometric": "rgb" if values.shape[2] == 3 else "minisblack", "compression": "zlib"}
    how |= {"iccprofile": tags.profile(values.shape[2]), "description": about or None, "metadata": None}
    if alpha is not None:
        how["extrasamples"] = ["unassalpha"]
        values = np.dstack([values, alpha])
    if values.shape[2] > 1:
        how["planarconfig"] = "contig"
    if tags.dpi:
        how |= {"resolution": tags.dpi, "resolutionunit": "INCH"}
    imwrite(path, values if values.shape[2] > 1 else values[..., 0], append=append, **how)


def _can_decode(page: Any) -> bool:
    """Whether tifffile needs no other package for it."""
    from tifffile import TIFF

    return page.compression in TIFF.DECOMPRESSORS and page.predictor in TIFF.UNPREDICTORS


def _require_picture(shape: tuple[int, ...], kind: np.dtype) -> None:
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of shape {shape}, which is neither (h, w) nor (h, w, c)")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise ValueError(f"{shape[1]}×{shape[0]} is more than {MAX_PIXELS:,} pixels; make it smaller")
    if math.prod(shape[2:]) > MOST:
        raise ValueError(f"{shape[2]} channels are more than {MOST}")
    if math.prod(shape) * kind.itemsize > MAX_BYTES:
        raise ValueError(f"{math.prod(shape) * kind.itemsize:,} bytes are more than {MAX_BYTES:,}; make it smaller")
    if kind.name not in TYPES:
        raise ValueError(f"pixels of type {kind}; save it as one of {', '.join(TYPES)}")


def _value(page: Any, code: int, default: Any = None) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _dpi(page: Any) -> tuple[float, float] | None:
    ratios, unit = (_value(page, 282), _value(page, 283)), _value(page, 296, INCH)
    if None in ratios or unit not in UNITS or any(0 in ratio for ratio in ratios):
        return None
    across, down = (over / under * UNITS[unit] for over, under in ratios)
    return across, down
