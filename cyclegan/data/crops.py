"""Random crops of cached images, and the reading of their files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from cyclegan.data.cache import PictureCache
from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.data_config import CropConfig
from cyclegan.images.pixel_format import RGB, PixelFormat

Crop = Shaped[Tensor, "_ size size"]


def read_images(
    paths: Sequence[Path], config: CropConfig, memory: MemoryBudget, format: PixelFormat = RGB
) -> CachedImages:
    """Return the images of a side, resized according to the settings and cached in memory or as files."""
    files = PictureCache(config.cache_folder) if config.cache_folder else None
    return CachedImages(
        paths, config.load_size, config.crop_size, memory, config.resize == "shorter_side", files, format
    )


def random_crop(image: Shaped[Tensor, "_ h w"], config: CropConfig, rng: np.random.Generator) -> Crop:
    """Cut a random square of the crop size, flipped with probability ½ if the settings ask for it."""
    crop = cut(image, config.crop_size, *rng.random(2))
    return crop.flip(-1) if config.flip and rng.random() < 0.5 else crop


def center_crop(image: Shaped[Tensor, "_ h w"], config: CropConfig) -> Crop:
    """Cut the central square of the crop size."""
    return cut(image, config.crop_size, 0.5, 0.5)


def cut(image: Shaped[Tensor, "_ h w"], size: int, down: float, right: float) -> Crop:
    """Cut a square; `down` and `right`, in [0, 1), are fractions of the distance its corner can move."""
    top, left = (int(share * (room - size + 1)) for share, room in zip((down, right), image.shape[1:], strict=True))
    return image[:, top : top + size, left : left + size]


def spread(count: int, total: int) -> list[int]:
    """Return at most `count` indices, evenly spaced over 0 … total − 1."""
    return [int(i) for i in np.linspace(0, total - 1, min(count, total)).round()]
