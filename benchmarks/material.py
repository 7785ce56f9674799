"""What the benchmarks work on: photographs that come with scikit-image, and weights where they are at hand."""

import os
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from cyclegan.images.tensors import read
from cyclegan.networks.weights import SOURCES
from cyclegan.protocols import Images

CONTENT, STYLE = "astronaut.png", "hubble_deep_field.jpg"  # NASA, public domain


def photograph(name: str, size: int, device: torch.device) -> Images:
    """The square in its middle, (1, 3, size, size)."""
    with as_file(files("skimage") / "data" / name) as path:
        image = read(path)
    side = min(image.shape[2:])
    top, left = ((length - side) // 2 for length in image.shape[2:])
    square = image[..., top : top + side, left : left + side]
    return interpolate(square, (size, size), mode="bicubic", antialias=True).clamp(-1, 1).to(device)


def squares(folder: Path, picture: np.ndarray, size: int, count: int) -> list[Path]:
    """Squares of a photograph as JPEG files."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(count):
        top, left = (int(random.integers(side - size + 1)) for side in picture.shape[:2])
        Image.fromarray(picture[top : top + size, left : left + size]).save(folder / f"{i}.jpg", quality=92)
    return sorted(folder.iterdir())


def at_hand(*names: str) -> bool:
    """Whether the folder CYCLEGAN_WEIGHTS has a file of each of these sources: nothing is downloaded."""
    folder = Path(os.environ.get("CYCLEGAN_WEIGHTS") or os.devnull)
    return all(any((folder / file).is_file() for file in SOURCES[name].files) for name in names)
