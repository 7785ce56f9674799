"""The smallest settings of every method, and the smallest data of every kind, for tests that go over all of them.

A method that is added to METHODS gets a line here; tests/test_combinations.py then tries all combinations.
"""

from pathlib import Path
from typing import Any

import torch
import yaml

from cyclegan.config import parse
from cyclegan.data.data_config import DATA
from cyclegan.data.dataset import random_batch
from cyclegan.methods import METHODS

FILE = Path(__file__).name
SIDE = 32  # px of crops

RESNET = {"base_channels": 2, "blocks": 1}
DISCRIMINATOR = {"base_channels": 2, "layers": 1}
NANO_METHODS: dict[str, dict[str, Any]] = {
    "cyclegan": {"generator": RESNET, "discriminator": DISCRIMINATOR, "buffer_size": 2},
    "cut": {"generator": RESNET, "discriminator": DISCRIMINATOR, "patches": 16, "head_width": 4},
    "pix2pix": {
        "generator": {"name": "unet", "base_channels": 2, "downsamplings": 3, "norm": "instance", "dropout": 0.5},
        "discriminator": DISCRIMINATOR | {"norm": "instance"},
    },
    "adain": {"encoder": "random", "precision": "float32"},
    "texture_nets": {
        "generator": {"name": "pyramid", "levels": 2, "norm": "instance"},
        "loss": {"weights": "random", "content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0}},
    },
    "johnson": {
        "generator": {"base_channels": 2, "blocks": 1, "norm": "instance", "padding": "reflect"},
        "loss": {"weights": "random", "style_layers": {"relu1_2": 1.0, "relu2_2": 1.0}},
    },
    "style_swap": {"encoder": "random", "steps": 1},
    "adaptive_style_transfer": {
        **{"base_channels": 2, "blocks": 1, "downsamplings": 2},
        **{"discriminator_channels": 2, "discriminator_layers": 2},
    },
    "cin": {
        **{"base_channels": 2, "blocks": 1},
        "loss": {
            **{"architecture": "vgg19", "weights": "random"},
            **{"content_layers": {"relu1_2": 1.0}, "style_layers": {"relu1_1": 1.0, "relu1_2": 1.0}},
        },
    },
    "stylebank": {
        **{"base_channels": 2, "stylizing_steps": 1},
        "loss": {
            **{"architecture": "vgg19", "weights": "random"},
            **{"content_layers": {"relu1_2": 1.0}, "style_layers": {"relu1_1": 1.0, "relu1_2": 1.0}},
        },
    },
    "gatys": {"weights": "random", "precision": "float32", "steps": 1, "refine_steps": 1},
}
NANO_DATA: dict[str, dict[str, Any]] = {
    "unpaired": {"x": "photo", "y": "painting", "load_size": None, "crop_size": SIDE},
    "paired": {"x": "photo", "y": "painting", "load_size": None, "crop_size": SIDE},
    "styles": {"contents": "photo", "styles": ["muse.png", "mosaic.png"], "load_size": None, "crop_size": SIDE},
    "glyphs": {"fonts": ["a.png", "b.png", "c.png"], "characters": "abcd", "size": SIDE, "references": 2},
}
NANO_DATA_OF: dict[str, dict[str, Any]] = {  # method -> what it asks of its data
    "johnson": {"styles": ["muse.png"]},
    "texture_nets": {"styles": ["muse.png"]},
}


def nano_method(name: str, *overrides: str) -> Any:
    """Settings of a method, changed by `a.b=c` overrides."""
    assert name in NANO_METHODS, f"{name}: has no nano settings yet; add a line to NANO_METHODS in {FILE}"
    return parse(yaml.safe_dump({"name": name, **NANO_METHODS[name]}), METHODS, "nano.yaml", overrides)


def nano_data(kind: str, method: str = "", **more: Any) -> Any:
    """Settings of data of a kind, for a method if it asks for more; the files need not exist."""
    assert kind in NANO_DATA, f"{kind}: has no nano settings yet; add a line to NANO_DATA in {FILE}"
    asked = NANO_DATA_OF.get(method, {}) if kind in METHODS[method or "cyclegan"].learns_from else {}
    return parse(yaml.safe_dump({"name": kind, **NANO_DATA[kind], **asked, **more}), DATA, "nano.yaml")


def trainings() -> list[tuple[str, str]]:
    """Every method with every kind of data that it learns from."""
    return [(name, kind) for name in METHODS.table for kind in METHODS[name].learns_from]


def norms_of(config: Any) -> list[str]:
    """Overrides that put batch norms everywhere they can be."""
    sections = ("generator", "discriminator")
    return [f"{section}.norm=batch" for section in sections if hasattr(getattr(config, section, None), "norm")]


class RandomBatches:
    """Batches of noise, a function of the step."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def batch_at(self, step: int) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(step)
            return random_batch(self.config)

    def names_at(self, step: int) -> dict[str, list[str]]:
        return {}
