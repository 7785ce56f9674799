"""Data sets of two sides, X and Y: unpaired and paired ones differ only in their samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from cyclegan.data.cached_images import MemoryBudget
from cyclegan.data.crops import read_images, spread
from cyclegan.data.data_config import SidesConfig
from cyclegan.data.fingerprint import Fingerprint
from cyclegan.data.paired import Paired
from cyclegan.data.splits import Side, Split, find_splits, formats_of
from cyclegan.data.stream import CPU, Stream, collate
from cyclegan.data.task import Task
from cyclegan.data.unpaired import Unpaired
from cyclegan.protocols import Images

SOURCES = {"unpaired": Unpaired, "paired": Paired}


class SidesDataset:
    """Training batches of X and Y, held-out batches, and evaluation tasks."""

    def __init__(self, config: SidesConfig, seed: int, device: torch.device = CPU, micro_batches: int = 1) -> None:
        self.config = config
        self.seed = seed
        self.splits = find_splits(config)
        self.name = self.splits.domain
        self.unreadable = [str(bad) for bad in self.splits.unreadable]
        self.spec = replace(config.spec, formats=formats_of(config, self.splits))
        self.counts = {side.name: len(side.train) for side in self._sides}
        self.fingerprint = Fingerprint(
            {"x": (self.splits.x.name, self.splits.x.train), "y": (self.splits.y.name, self.splits.y.train)}
        )
        self.stream = Stream(
            self._source("train", MemoryBudget(config.cache_mb * 2**20)), config, device, micro_batches
        )

    @property
    def _sides(self) -> Sequence[Side]:
        return self.splits.x, self.splits.y

    def _source(self, split: Split, memory: MemoryBudget) -> Unpaired:
        sides = [
            read_images(getattr(side, split), self.config, memory, format)
            for side, format in zip(self._sides, self.spec.formats.values(), strict=True)
        ]
        return SOURCES[self.config.name](sides, self.config, self.seed)

    def held_out(self, split: Split, count: int = 4) -> Any:
        """Return central crops of `count` images of each side, evenly spaced over the split.

        Every call returns the same crops.
        """
        source = self._source(split, MemoryBudget(0))
        count = min(count, *(len(images) for images in source.sides))
        indices = zip(*(spread(count, len(images)) for images in source.sides), strict=True)
        return collate(source, [source.center(each) for each in indices])

    def tasks(self, split: Split = "test") -> Sequence[Task]:
        """Return the tasks X → Y and Y → X; none for a split without images."""
        return self.splits.tasks(split) if getattr(self.splits.x, split) else []

    def styles(self) -> Mapping[str, Images]:
        """No style images: both sides are learned."""
        return {}

    def describe(self) -> list[str]:
        """Return the numbers of images and of validation images.

        Pixel formats are added unless they are 8-bit RGB.
        """
        lines = [f"images    {', '.join(f'{name} {count:,}' for name, count in self.counts.items())}"]
        if not self.spec.is_rgb8:
            formats = zip(self.spec.names.values(), self.spec.formats.values(), strict=True)
            lines.append(
                f"formats   {', '.join(f'{name} {format}' for name, format in formats)}; samples in false color"
            )
        if self.splits.x.validation:
            counts = " + ".join(str(len(side.validation)) for side in self._sides)
            lines.append(f"validates on {counts} images kept aside; the best weights go to best.safetensors")
        return [*lines, self.splits.skipped] if self.splits.skipped else lines
