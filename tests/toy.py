"""The smallest game: it keeps every kind of state and draws from every random generator, in a millisecond a step.

`launch` trains it, or another method, for one launch of the command: everything is made anew, as in a new process.
"""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cyclegan.config import dump
from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.buffer import ImageBuffer
from cyclegan.protocols import Losses, Minimize, Preview
from cyclegan.training.best_weights import Validates
from cyclegan.training.loop import Batches, train
from cyclegan.training.run import Run
from cyclegan.training.training_config import TrainingConfig

CPU = torch.device("cpu")
ABOUT = {"x": "photo", "y": "painting"}
SETTINGS = {"steps": 12, "save_every": 4, "log_every": 2, "sample_every": 6}


class Toy(nn.Module):
    """G recolors X until D takes it for Y."""

    def __init__(self) -> None:
        super().__init__()
        self.G = nn.Conv2d(3, 3, 1)
        self.D = nn.Conv2d(3, 1, 1)
        self.past = ImageBuffer(3)

    def parameter_groups(self) -> dict[str, Any]:
        return {"painter": self.G.parameters(), "critic": self.D.parameters()}

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.G}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        noise = torch.randn_like(batch.x) * (random.random() + np.random.rand())  # noqa: NPY002 - the global one is meant
        fake = self.G(batch.x + noise)
        painter = {"fool": (self.D(fake) - 1).square().mean(), "near": (fake - batch.x).abs().mean()}
        minimize("painter", painter)
        critic = {"D": self.D(self.past(fake)).square().mean() + (self.D(batch.y) - 1).square().mean()}
        minimize("critic", critic)
        return painter | critic

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        fake = self.G(batch.x)
        scores = {"D_Y": (float(self.D(batch.y).mean()), float(self.D(fake).mean()))}
        return Preview({"x_to_y": {"x": batch.x, "G(x)": fake}}, scores)


class Noise:
    """Batches of two images of each side, a function of the step."""

    def batch_at(self, step: int) -> UnpairedBatch:
        drawn = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(step)) * 2 - 1
        return UnpairedBatch(*drawn)

    def names_at(self, step: int) -> dict[str, list[str]]:
        return {"x": [f"noise {step}"], "y": [f"noise {step}"]}


class Crash(BaseException):
    """Power off."""


@dataclass
class Interrupted:
    """Batches during which something happens: while the batch that makes step `at` the last one done is read."""

    batches: Batches
    at: int
    event: Callable[[], object]

    def batch_at(self, step: int) -> Any:
        if step + 1 == self.at:
            self.event()
        return self.batches.batch_at(step)

    def names_at(self, step: int) -> dict[str, list[str]]:
        return self.batches.names_at(step)


def crash() -> None:
    raise Crash


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def launch(
    folder: Path,
    batches: Batches | None = None,
    *,
    build: Callable[[], Any] = Toy,
    held_out: Any = None,
    seed: int = 0,
    before: Callable[..., object] = lambda method: None,
    validator: Validates | None = None,
    **settings: Any,
) -> None:
    """Start, or continue, the run of a folder; `before` is shown the untrained method."""
    config = TrainingConfig(**SETTINGS | settings)
    torch.manual_seed(seed)
    method = build()
    before(method)
    batches = batches or Noise()
    held_out = held_out or Noise().batch_at(1000)
    run = Run(folder, dump(config), {"python": "3"})
    train(method, batches, held_out, config, run, seed=seed, device=CPU, about=ABOUT, validator=validator)
