"""Pictures to be translated: noise, smooth ones as files, and how far two are apart."""

from pathlib import Path

import numpy as np
from PIL import ImageCms

from cyclegan.images.rgb8 import write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def draw(path: Path, size: tuple[int, int] = (24, 18)) -> Path:
    """A smooth picture, different for each name."""
    phase = sum(path.name.encode())
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = np.stack([np.sin(x / 5 + phase), np.cos(y / 4), np.sin((x + y) / 6)], axis=-1)
    write_picture(path, (127.5 + 127.5 * waves).astype(np.uint8))
    return path


def difference(a: np.ndarray, b: np.ndarray) -> int:
    """The largest of a pixel."""
    return int(np.abs(a.astype(int) - b).max())
