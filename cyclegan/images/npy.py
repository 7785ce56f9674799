"""NPY files of shape (h, w) or (h, w, c), never pickles; the header is checked before the data are read."""

import math
import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from cyclegan.images.formats import MAX_PIXELS, File, TooLargeError
from cyclegan.images.pixel_format import MOST, TYPES
from cyclegan.images.raster import Raster, Tags

MAX_BYTES = 2**31


def read_npy(file: File) -> Raster:
    """Read an array as a raster. Raises ValueError for an array that is no image."""
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = read_header(file)
    require_image(shape, kind)
    promised, found = file.tell() + math.prod(shape) * kind.itemsize, file.seek(0, os.SEEK_END)
    if found < promised:
        raise ValueError(f"it ends after {found} of {promised} bytes")
    file.seek(0)
    values = np.load(file, allow_pickle=False)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    values = values.reshape(*shape[:2], -1)
    return Raster(values=values, tags=Tags(flat=len(shape) == 2, mode=f"NPY of {values.shape[2]} × {values.dtype}"))


def write_npy(path: Path, values: np.ndarray, tags: Tags) -> None:
    """Write (h, w, c), or (h, w) if the source had no channel axis."""
    with path.open("wb") as file:  # np.save with a path would add a suffix to a name that ends in .NPY
        np.save(file, values[..., 0] if tags.flat and values.shape[2] == 1 else values, allow_pickle=False)


def require_image(shape: tuple[int, ...], kind: np.dtype, what: str = "") -> None:
    """Raise ValueError for an array that is no image, is too large, or has an unsupported type.

    what  name of the file, for the message
    """
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"an array of shape {shape}, which is neither (h, w) nor (h, w, c)")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise ValueError(str(TooLargeError(f"{shape[1]}×{shape[0]}")))
    if math.prod(shape[2:]) > MOST:
        raise ValueError(f"{shape[2]} channels are more than {MOST}")
    if math.prod(shape) * kind.itemsize > MAX_BYTES:
        raise ValueError(f"{math.prod(shape) * kind.itemsize:,} bytes are more than {MAX_BYTES:,}; make it smaller")
    if kind.name not in TYPES:
        raise ValueError(f"{what or f'pixels of type {kind}'}; save it as one of {', '.join(TYPES)}")
