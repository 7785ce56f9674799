"""The smallest methods that paint after an example: settings without weights to fetch, for files and for commands."""

from pathlib import Path

import yaml

ADAIN = {"name": "adain", "encoder": "random", "precision": "float32"}
GATYS = {
    "name": "gatys",
    "weights": "random",
    "content_layers": {"relu1_1": 1.0},
    "style_layers": {"relu1_1": 1.0},
    "coarsest": None,
    "refine_steps": 1,
    "precision": "float32",
}


def write_gatys(folder: Path, *, steps: int, **more: object) -> Path:
    """Its file of settings."""
    return _write(folder / "gatys.yaml", GATYS | {"steps": steps} | more)


def write_adain(folder: Path) -> Path:
    """Its file of settings."""
    return _write(folder / "adain.yaml", ADAIN)


def _write(path: Path, settings: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(settings))
    return path
