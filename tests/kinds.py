"""Two folders of small pictures of other kinds, and a training on them through the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tifffile import imwrite

from cyclegan.cli import main

METHOD = {
    "name": "cyclegan",
    "generator": {"base_channels": 2, "blocks": 1},
    "discriminator": {"base_channels": 2, "layers": 1},
}
TRAINING = {"steps": 2, "device": "cpu", "log_every": 1, "sample_every": 2, "save_every": 1}


def waves(shape: tuple[int, ...], seed: int, low: float, high: float, kind: str) -> np.ndarray:
    """(h, w) or (h, w, c), smooth, of almost the whole range."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    phase = np.arange(shape[2] if len(shape) > 2 else 1) + seed
    wave = np.sin(x[..., None] / 7 + phase) * np.cos(y[..., None] / 9 + phase)
    return ((wave.reshape(shape) + 1) / 2 * (high - low) + low).astype(kind)


def save_tiff(path: Path, pixels: np.ndarray) -> None:
    imwrite(
        path.with_suffix(".tif"), pixels, photometric="minisblack", planarconfig="contig" if pixels.ndim > 2 else None
    )


def save_npy(path: Path, pixels: np.ndarray) -> None:
    np.save(path.with_suffix(".npy"), pixels)


def fill(folder: Path, save: Callable[[Path, np.ndarray], None], draw: Callable[[int], np.ndarray]) -> Path:
    """Four pictures."""
    folder.mkdir(parents=True)
    for i in range(4):
        save(folder / str(i), draw(i))
    return folder


def train(place: Path, data: dict[str, Any], *overrides: str, method: dict[str, Any] | None = None) -> int:
    """The exit code; the run is in runs/x2y/kinds of the present folder."""
    data = {"load_size": 20, "crop_size": 16, "x": str(place / "x"), "y": str(place / "y"), **data}
    settings = {"name": "kinds", "method": METHOD | (method or {}), "data": data, "training": TRAINING}
    (place / "kinds.yaml").write_text(yaml.safe_dump(settings))
    return main(["train", str(place / "kinds.yaml"), *(part for each in overrides for part in ("--set", each))])
