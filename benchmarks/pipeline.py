"""The way from picture files to batches: JPEGs of 256 px, resized to 286, cropped to 256, mirrored, one of each side.

Plain      Pillow and torchvision's transforms on Pillow images, in a DataLoader with two worker processes.
Library    `Unpaired` with two reading threads: decoded by Pillow, resized on 8-bit tensors. With nothing kept, and
           with all pictures kept, as they are from the second pass on: resized in memory, where they fit into
           `data.cache_mb`; decoded in files that are mapped, where there is a `data.cache_folder`.
Memory     left out: threads and worker processes hold what they read ahead before the call that would show a growth.
Agreement  of a picture that is decoded and resized, in levels; which crops are drawn is another matter.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from material import squares
from paired import LEAST, Row, Table, Variant, measure
from PIL import Image
from skimage import data
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.crops import read_images
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.stream import Stream
from cyclegan.data.unpaired import Unpaired

SIZES = (256,)
QUICK_SIZES = (32,)
WORKERS = 2


class Plain(Dataset):
    """One picture of each side, drawn independently."""

    def __init__(self, x: list[Path], y: list[Path], size: int) -> None:
        self.sides = x, y
        load = size * 286 // 256
        self.transform = transforms.Compose(
            [
                transforms.Resize((load, load), transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(self.transform(Image.open(side[index % len(side)]).convert("RGB")) for side in self.sides)


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size; the device takes no part."""
    del device
    with tempfile.TemporaryDirectory() as folder:  # whose readers have ended before it goes
        rows = _compared(Path(folder), size, rounds, least)
    return Table(title=f"The input pipeline, {size} px, one picture of each side", weights="none", rows=rows)


def _compared(folder: Path, size: int, rounds: int, least: float) -> list[Row]:
    count = 8 if size in QUICK_SIZES else 64
    x, y = (squares(folder / side, picture, size, count) for side, picture in _photographs().items())
    config = UnpairedConfig(x=folder / "x", y=folder / "y", load_size=size * 286 // 256, crop_size=size)
    in_files = _batches(x, y, replace(config, cache_mb=0, cache_folder=folder / "cache"))
    in_memory = _batches(x, y, replace(config, cache_mb=1024))
    for _ in range(2 * count):
        next(in_files)
        next(in_memory)
    ways = {
        "plain, two worker processes": iter(DataLoader(Plain(x, y, size), num_workers=WORKERS, prefetch_factor=4)),
        "library, two threads": _batches(x, y, replace(config, cache_mb=0)),
        "library, two threads, files warm": in_files,
        "library, two threads, cache warm": in_memory,
    }
    ours = CachedImages(x[:1], config.load_size, size, room=MemoryBudget(0))[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(Plain(x, y, size).transform.transforms[0](Image.open(x[0]).convert("RGB")))
    off = {"levels off at most": float(np.abs(ours.astype(int) - theirs).max())}
    variants = [
        Variant(name, lambda batches=batches: next(batches), off if "library" in name else {})
        for name, batches in ways.items()
    ]
    return [replace(row, memory=None) for row in measure(variants, rounds, torch.device("cpu"), least=least)]


def _batches(x: list[Path], y: list[Path], config: UnpairedConfig) -> Iterator[object]:
    config, room = replace(config, workers=WORKERS), MemoryBudget(config.cache_mb * 2**20)
    source = Unpaired([read_images(paths, config, room) for paths in (x, y)], config, seed=0)
    batches = Stream(source, config)
    step = 0
    while True:
        yield batches.batch_at(step)
        step += 1


def _photographs() -> dict[str, np.ndarray]:
    return {"x": data.astronaut(), "y": data.coffee()}
