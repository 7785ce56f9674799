"""Methods for images of so many channels, and streams of unpaired files, without a data set around them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.cached_images import MemoryBudget
from cyclegan.data.crops import read_images, spread
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.spec import DataSpec
from cyclegan.data.stream import CPU, Stream, collate
from cyclegan.data.unpaired import Unpaired
from cyclegan.images.pixel_format import RGB, PixelFormat


def build(config: Any, channels: tuple[int, int] = (3, 3)) -> Any:
    """The method of some settings, from photo to painting."""
    return config.build(spec_of(channels))


def spec_of(channels: tuple[int, int] = (3, 3), **more: Any) -> DataSpec:
    """Unpaired data of so many channels."""
    formats = {side: PixelFormat(channels=count) for side, count in zip("xy", channels, strict=True)}
    return DataSpec(names={"x": "photo", "y": "painting"}, formats=formats, **more)


def unpaired_stream(
    x: Sequence[Path],
    y: Sequence[Path],
    config: UnpairedConfig,
    seed: int,
    formats: tuple[PixelFormat, PixelFormat] = (RGB, RGB),
    device: torch.device = CPU,
    micro_batches: int = 1,
) -> Stream:
    """Batches of two lists of files."""
    return Stream(
        _source(x, y, config, seed, formats, MemoryBudget(config.cache_mb * 2**20)), config, device, micro_batches
    )


def held_out(x: Sequence[Path], y: Sequence[Path], config: UnpairedConfig, count: int = 4) -> UnpairedBatch:
    """Central crops, as a data set holds them out."""
    source = _source(x, y, config, 0, (RGB, RGB), MemoryBudget(0))
    count = min(count, len(x), len(y))
    return collate(
        source, [source.center(pair) for pair in zip(spread(count, len(x)), spread(count, len(y)), strict=True)]
    )


def _source(
    x: Sequence[Path],
    y: Sequence[Path],
    config: UnpairedConfig,
    seed: int,
    formats: tuple[PixelFormat, PixelFormat],
    room: MemoryBudget,
) -> Unpaired:
    pairs = zip((x, y), formats, strict=True)
    return Unpaired([read_images(paths, config, room, format) for paths, format in pairs], config, seed)
