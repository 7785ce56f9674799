"""Runs of methods that learn several styles: photos, style images and four steps."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from toy_runs import SIDE, experiment

from cyclegan.commands.train import train
from cyclegan.config import dump
from cyclegan.data.spec import DataSpec
from cyclegan.images.pixel_format import RGB
from cyclegan.images.rgb8 import write_picture
from cyclegan.model.load import load
from cyclegan.release import describe
from cyclegan.training.checkpoint import write_release

LOSS = {
    **{"architecture": "vgg19", "weights": "random", "tv_weight": 0.0},
    **{"content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}},
}
SPEC = DataSpec(
    kind="styles", names={"content": "photo"}, formats={"content": RGB}, crop_size=SIDE, styles=("muse", "wave", "ink")
)


def noise(count: int, side: int = SIDE, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def write_pictures(place: Path) -> None:
    """Eight photos and three style images."""
    random = np.random.default_rng(0)
    for name in (*(f"photos/{i}" for i in range(8)), *SPEC.styles):
        write_picture(place / f"{name}.png", random.integers(256, size=(32, 32, 3), dtype=np.uint8))


def trained(place: Path, method: dict[str, Any], *styles: str) -> Path:
    """A finished run of four steps, named after its styles."""
    data = {"name": "styles", "contents": "photos", "styles": [f"{style}.png" for style in styles]}
    data |= {"load_size": None, "crop_size": SIDE, "batch_size": 2, "workers": 1}
    return train(experiment(place, method, data), [f"name={'-'.join(styles)}"])


def translations(run: Path) -> dict[str, Tensor]:
    """An image, translated to every target."""
    model, image = load(run, device="cpu"), noise(1)
    return {style: model(image, to=style) for style in model.targets}


def released(path: Path, network: nn.Module, spec: DataSpec, config: Any) -> Path:
    """A file of a network that claims to be of some method."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    write_release(path, tensors, describe(spec, spec.styles, method=dump(config), step=4, domain="photo"))
    return path


def toy_photos(count: int, seed: int) -> Tensor:
    """Noise of few frequencies."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(-1, 1)


def toy_styles() -> dict[str, Tensor]:
    """Black hatching on white, and blocks of strong colors."""
    lines = (torch.arange(32)[:, None] + torch.arange(32)) % 6 < 2
    blocks = torch.randint(0, 2, (1, 3, 4, 4), generator=torch.Generator().manual_seed(5)) * 1.8 - 0.9
    return {
        "hatching": torch.where(lines, -0.8, 0.9).expand(1, 3, -1, -1),
        "blocks": blocks.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3),
    }


@torch.no_grad()
def distances(method: Any, images: Tensor) -> list[float]:
    """Style losses of images to every style."""
    found = method.loss.features(images)
    every = range(len(method.styles))
    return [method.loss.style_loss(found, torch.full((len(images),), style)).mean().item() for style in every]
