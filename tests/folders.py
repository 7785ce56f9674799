"""Folders: what lies below one, and two of small pictures to train on."""

from pathlib import Path

import numpy as np
from PIL import Image


def files_below(folder: Path) -> dict[str, bytes]:
    """By their paths from there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def two_sides(folder: Path, count: int, size: int = 40) -> None:
    """So many smooth pictures in the folders summer and winter."""
    random = np.random.default_rng(0)
    for side in ("summer", "winter"):
        (folder / side).mkdir()
        for i in range(count):
            pixels = random.integers(256, size=(5, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(folder / side / f"{i}.png")
