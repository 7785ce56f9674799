"""Images of one side, decoded and resized once, then kept in memory up to a limit, or as files.

The resize works on 8-bit tensors (antialiased bicubic): it agrees with Pillow's to one level, and is the
faster half of the pipeline. Images of other kinds than RGB are float32 in [-1, 1] from the start.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import torch
from jaxtyping import Shaped
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from cyclegan.data.cache import PictureCache
from cyclegan.errors import UserError
from cyclegan.images.files import read_raster
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import from_raster

MAPPED = 20_000  # mapped files of one side; Linux allows a process 65,530


class MemoryBudget:
    """Memory budget for decoded images, shared by both sides: a small side leaves the rest to a large one."""

    def __init__(self, free: int) -> None:
        """Set the budget in bytes."""
        self._free = free
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Reserve so many bytes if they are left; return whether they were."""
        with self._lock:
            fits = count <= self._free
            self._free -= count * fits
        return fits


class CachedImages:
    """Sequence of images, uint8 (3, h, w) or float32 (c, h, w).

    Images are resized to load_size × load_size, or only their shorter sides to load_size; without a load_size
    they keep their size.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        load_size: int | None,
        crop_size: int,
        room: MemoryBudget,
        keep_aspect: bool = False,
        cache: PictureCache | None = None,
        kind: PixelFormat = RGB,
    ) -> None:
        self.paths = paths
        self.load_size = load_size
        self.keep_aspect = keep_aspect
        self.crop_size = crop_size
        self._cache: dict[int, Tensor] = {}
        self._room = MemoryBudget(0) if cache else room
        self.files = cache
        self.kind = kind

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Shaped[Tensor, "_ h w"]:
        cached = self._cache.get(index)
        return self._read(index) if cached is None else cached

    def _read(self, index: int) -> Tensor:
        if self.files is None:
            return self._decode(index)
        how = f"{self.load_size} {self.keep_aspect}" + ("" if self.kind.is_rgb else f" {self.kind}")
        path = self.files.path(self.paths[index], how)
        picture = self.files.read(path, self.kind)
        if picture is None:
            picture = self._decode(index)
            self.files.write(path, picture)
        elif len(self._cache) < MAPPED:
            self._cache[index] = picture  # mapped memory is not counted in the budget
        return picture

    def _decode(self, index: int) -> Tensor:
        picture = self._stored(self.paths[index])
        if self.load_size is not None:
            size = [self.load_size] * (1 if self.keep_aspect else 2)  # one number keeps the aspect ratio
            picture = resize(picture, size, InterpolationMode.BICUBIC, antialias=True)
            if not self.kind.is_rgb:
                picture.clamp_(-1, 1)
        height, width = picture.shape[1:]
        if min(height, width) < self.crop_size:
            raise UserError(
                f"{self.paths[index]}: {width}×{height} is smaller than crop_size {self.crop_size}; "
                f"set data.load_size to {self.crop_size} or more, or data.crop_size to {min(height, width)} or less"
            )
        if self._room.take(picture.nbytes):
            self._cache[index] = picture
        return picture

    def _stored(self, path: Path) -> Tensor:
        if self.kind.is_rgb:
            return torch.from_numpy(read_picture(path).copy()).permute(2, 0, 1).contiguous()
        return from_raster(read_raster(path, self.kind), self.kind)[0]
