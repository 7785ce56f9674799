"""Random crops of cached images, and the files they are read from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from cyclegan.data.cache import PictureCache
from cyclegan.data.cached_images import Pictures, Room
from cyclegan.data.data_config import CropConfig
from cyclegan.images.pixel_format import RGB, Kind

Crop = Shaped[Tensor, "_ size size"]


def read_images(paths: Sequence[Path], config: CropConfig, memory: Room, format: Kind = RGB) -> Pictures:
    """Images of a side, resized as the settings say and cached in memory or as files."""
    files = PictureCache(config.cache_folder) if config.cache_folder else None
    return Pictures(paths, config.load_size, config.crop_size, memory, config.resize == "shorter_side", files, format)


def random_crop(image: Shaped[Tensor, "_ h w"], config: CropConfig, rng: np.random.Generator) -> Crop:
    """A random square of the crop size, mirrored every other time if the settings say so."""
    crop = cut(image, config.crop_size, *rng.random(2))
    return crop.flip(-1) if config.flip and rng.random() < 0.5 else crop


def center_crop(image: Shaped[Tensor, "_ h w"], config: CropConfig) -> Crop:
    """The square of the crop size in the middle."""
    return cut(image, config.crop_size, 0.5, 0.5)


def cut(image: Shaped[Tensor, "_ h w"], size: int, down: float, right: float) -> Crop:
    """Cut a square whose upper left corner lies at these shares, in [0, 1), of the way it can move."""
    top, left = (int(share * (room - size + 1)) for share, room in zip((down, right), image.shape[1:], strict=True))
    return image[:, top : top + size, left : left + size]


def spread(count: int, total: int) -> list[int]:
    """At most `count` indices, spread evenly over 0 … total − 1."""
    return [int(i) for i in np.linspace(0, total - 1, min(count, total)).round()]
