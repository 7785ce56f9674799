"""Decoded and resized pictures as files that are mapped into memory: of a crop only the pages it lies on are read.

A file is named by what its content follows from: the picture's path, size and time of change, and how it is resized.
It appears under its name when it is whole, so that any number of processes may share a folder; one that is damaged
is made again. Nothing is ever removed: delete the folder when you are done with it.
"""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from cyclegan.errors import refused
from cyclegan.pictures import BadPictureError
from cyclegan.pixels.kind import RGB, Kind

VERSION = 1  # of decoding and resizing: raise it when they change


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
        return self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npy"

    def read(self, path: Path, kind: Kind = RGB) -> Shaped[Tensor, "_ h w"] | None:
        """What a file holds; None where there is none, or not a whole one."""
        try:
            found = np.load(path, mmap_mode="c")  # copy on write: nobody can change the file by accident
        except (OSError, ValueError, EOFError):
            return None
        fits = found.dtype == (np.uint8 if kind.is_rgb else np.float32) and found.ndim == 3
        return torch.from_numpy(found) if fits and len(found) == kind.channels else None

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
