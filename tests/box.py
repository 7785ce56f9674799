"""A part of a run that holds anything, and what its checkpoints hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cyclegan.training.checkpoint import Checkpoint, CorruptCheckpointError

FILES = ("state.safetensors", "release.safetensors", "manifest.json")


class Box:
    """A part of a run that holds anything."""

    def __init__(self, content: Any = None) -> None:
        self.content = content

    def state_dict(self) -> dict[str, Any]:
        return {"content": self.content}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.content = state["content"]


def checkpoint_of(folder: Path, box: Box, keep: int = 2) -> Checkpoint:
    return Checkpoint(folder, keep, {"G.weight": torch.ones(3)}, {"x": "photo"}, box=box)


def weights(value: float) -> torch.Tensor:
    return torch.full((5000,), value)


def load(folder: Path) -> tuple[float, list[CorruptCheckpointError]]:
    """What the newest whole checkpoint holds, by a reader that knows nothing else, and the damages passed over."""
    box = Box()
    damages = checkpoint_of(folder, box).load_latest()
    return box.content[0].item(), damages


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def two_saved(folder: Path) -> Path:
    """Checkpoints of steps 10, which holds 1.0, and 20, which holds 2.0."""
    box = Box()
    checkpoint = checkpoint_of(folder, box)
    for step, value in ((10, 1.0), (20, 2.0)):
        box.content = weights(value)
        checkpoint.save(step)
    return folder


def save_30(folder: Path) -> None:
    """And one of step 30, which holds 3.0."""
    checkpoint_of(folder, Box(weights(3.0))).save(30)
