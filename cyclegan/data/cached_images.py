"""Pictures of one side, decoded and resized once and then kept in memory as far as it is allowed, or as files.

The resize is done on 8-bit tensors (antialiased bicubic): within one level of Pillow's, and the faster half of
the pipeline. Pictures of other kinds than RGB are float32 in [-1, 1] from the beginning.
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
from cyclegan.images.pixel_format import RGB, Kind
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import from_raster

MAPPED = 20_000  # files of a side that stay mapped; Linux allows a process 65,530


class Room:
    """Memory for decoded pictures; both sides share it, so that a small one leaves the rest to a large one."""

    def __init__(self, free: int) -> None:
        """In bytes."""
        self._free = free
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Whether so many bytes were left; they are taken then."""
        with self._lock:
            fits = count <= self._free
            self._free -= count * fits
        return fits


class Pictures:
    """Indexable pictures, uint8 (3, h, w) or float32 (c, h, w).

    Resized to load_size × load_size, or just their shorter sides to load_size; without a load_size as they are.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        load_size: int | None,
        crop_size: int,
        room: Room,
        keep_aspect: bool = False,
        cache: PictureCache | None = None,
        kind: Kind = RGB,
    ) -> None:
        self.paths = paths
        self.load_size = load_size
        self.keep_aspect = keep_aspect
        self.crop_size = crop_size
        self._cache: dict[int, Tensor] = {}
        self._room = Room(0) if cache else room
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
            self._cache[index] = picture  # which takes no memory that anybody else wants
        return picture

    def _decode(self, index: int) -> Tensor:
        picture = self._stored(self.paths[index])
        if self.load_size is not None:
            size = [self.load_size] * (1 if self.keep_aspect else 2)  # of one side the other follows
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
