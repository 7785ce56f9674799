"""Decoded and resized pictures as files that are mapped into memory: of a crop only the pages it lies on are read.

A file is named by what its content follows from: the picture's path, size and time of change, and how it is resized.
It appears under its name when it is whole, so that any number of processes may share a folder; one that is cut short
is made again (its pixels are not checked, which would take as long as reading all of them). Nothing is ever removed:
delete the folder when you are done with it.
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

from cyclegan.errors import refused
from cyclegan.images.pixel_format import RGB, Kind
from cyclegan.images.rgb8 import BadPictureError

VERSION = 2  # of decoding and resizing: raise it when they change


class PictureCache:
    """A folder of (c, h, w) as .npy: uint8 of RGB, float32 of other kinds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, picture: Path, how: str) -> Path:
        """Of the file for a picture that is resized in a certain way."""
        try:
            status = picture.stat()
        except OSError as error:
            raise BadPictureError(f"{picture}: not a readable picture ({error.strerror}); replace it") from error
        identity = f"{VERSION} {picture.resolve()} {status.st_size} {status.st_mtime_ns} {how}"
        digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
        return self.folder / f"{digest[:32]}.npy"

    def read(self, path: Path, kind: Kind = RGB) -> Shaped[Tensor, "_ h w"] | None:
        """What a file holds, mapped; None where there is none, or not a whole one."""
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
        # private, so that nobody can change the file by accident; unlike NumPy's, this keeps no file open
        mapped = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        return mapped[start:].view(torch.uint8 if kind.is_rgb else torch.float32).view(shape)

    def write(self, path: Path, pixels: Shaped[Tensor, "_ h w"]) -> None:
        """Under a name of its own first; whoever may read other new files of this user may read it."""
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
            raise refused(error, self.folder, remedy) from error
