"""A run with two checkpoints of a tiny CycleGAN, as training leaves it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cyclegan.config import dump
from cyclegan.methods import build
from cyclegan.methods.cyclegan import CycleGAN
from cyclegan.methods.settings import CycleGANConfig, DiscriminatorConfig, GeneratorConfig
from cyclegan.training.checkpoint import Checkpoint
from cyclegan.training.ema import EMA
from cyclegan.training.progress import Progress

CONFIG = CycleGANConfig(
    generator=GeneratorConfig(base_channels=2, blocks=1), discriminator=DiscriminatorConfig(base_channels=2, layers=1)
)


@pytest.fixture
def method() -> CycleGAN:
    """G and F differ, and both change a picture visibly."""
    torch.manual_seed(0)
    method = build(CONFIG)
    for network in method.networks().values():
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.2)
    return method


@pytest.fixture
def save_run(method) -> Callable[..., Path]:
    """Saves a run, described as given, with the checkpoints of steps 10 and 20; the later one holds `method`."""

    def save(folder: Path, **described: object) -> Path:
        about = {"format": 1, "library": "0.1.0", "method": dump(CONFIG), "x": "photo", "y": "painting", **described}
        ema, progress = EMA(method.networks(), 0.999), Progress()
        checkpoint = Checkpoint(
            folder / "checkpoints", 2, ema.average, about, method=method, ema=ema, progress=progress
        )
        for step, shift in ((10, 0.05), (20, 0.0)):
            for key, live in ema.live.items():
                ema.average[key].copy_(live.detach() + shift)
            checkpoint.save(step)
        return folder

    return save


@pytest.fixture
def run(tmp_path, save_run) -> SimpleNamespace:
    """The run's folder, its checkpoints and the released file of the newest."""
    folder = save_run(tmp_path / "runs" / "photo2painting" / "tiny")
    older, newer = sorted((folder / "checkpoints").iterdir())
    return SimpleNamespace(folder=folder, older=older, newer=newer, file=newer / "release.safetensors")
