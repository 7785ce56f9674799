"""Decoded and resized images as memory-mapped files, so that reading a crop reads only the pages it lies on.

The name of a file is a hash of everything its content depends on: the image's path, size and modification
time, and how it is resized. A file gets its name only when it is complete, so any number of processes may
share a folder. A truncated file is written again; pixels are not checked, which would take as long as reading
all of them. Files are never removed: delete the folder when you no longer need it.
"""

import hashlib
import math
import os
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.lib.format import read_array_header_1_0, read_magic
from torch import Tensor

from cyclegan.errors import from_os_error
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.rgb8 import BadPictureError

VERSION = 2  # of decoding and resizing: increase it when they change


class PictureCache:
    """Folder of images (c, h, w) as .npy: uint8 for RGB, float32 for other kinds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, picture: Path, how: str) -> Path:
        """Return the path of the file for an image and a way of resizing it."""
        try:
            status = picture.stat()
        except OSError as error:
            raise BadPictureError(f"{picture}: not a readable picture ({error.strerror}); replace it") from error
        identity = f"{VERSION} {picture.resolve()} {status.st_size} {status.st_mtime_ns} {how}"
        digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
        return self.folder / f"{digest[:32]}.npy"

    def read(self, path: Path, kind: PixelFormat = RGB) -> Shaped[Tensor, "_ h w"] | None:
        """Return the content of a file, memory-mapped; None if it is missing or incomplete."""
        try:
            with path.open("rb") as file:
                read_magic(file)
                shape, _, of = read_array_header_1_0(file)
                start, size = file.tell(), os.fstat(file.fileno()).st_size
        except (OSError, ValueError, EOFError):
            return None
        fits = of == (np.uint8 if kind.is_rgb else np.float32) and len(shape) == 3 and shape[0] == kind.channels
        if not fits or size != start + math.prod(shape) * of.itemsize:
            return None
        # private, so that writes never reach the file; unlike NumPy's memmap, this keeps no file open
        mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        return mapped[start:].view(torch.uint8 if kind.is_rgb else torch.float32).view(shape)

    def write(self, path: Path, pixels: Shaped[Tensor, "_ h w"]) -> None:
        """Write pixels to a temporary file first, then rename it.

        The file is readable by everyone who may read other new files of this user.
        """
        partial = path.with_name(f"{path.name}.{uuid4().hex}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as file:
                    np.save(file, pixels.numpy())
                os.replace(partial, path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        except OSError as error:
            remedy = "give another data.cache_folder, or null to keep pictures in memory"
            raise from_os_error(error, self.folder, remedy) from error
