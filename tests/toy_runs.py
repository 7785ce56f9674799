"""An experiment with a method of a test file: four steps, saved every second."""

from pathlib import Path
from typing import Any

import yaml

SIDE = 16  # px of crops and glyphs
TRAINING = {"steps": 4, "save_every": 2, "sample_every": 2, "log_every": 2, "keep_checkpoints": 3, "device": "cpu"}
TRAINING |= {"ema": 0.0, "optimizer": {"lr": 0.05}}


def experiment(folder: Path, method: dict[str, Any], data: dict[str, Any], **training: Any) -> Path:
    """Write its settings."""
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({"name": "toy", "method": method, "data": data, "training": TRAINING | training}))
    return path
