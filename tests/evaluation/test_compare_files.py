"""From the file of a comparison to its entries: which styles a method is shown."""

from pathlib import Path

import numpy as np
import pytest
import torch
from little import write_gatys

from cyclegan.commands.compare import compare
from cyclegan.evaluation.compare_config import CompareConfig, MethodFileConfig
from cyclegan.evaluation.comparison import OneStylePerImage
from cyclegan.images.rgb8 import write_picture
from cyclegan.protocols import Images


class Constant:
    """Paints everything in one grey."""

    def __init__(self, level: float) -> None:
        self.level = level

    def translate(self, images: Images) -> Images:
        return torch.full_like(images, self.level)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Eight noisy contents, a red and a blue style, and the settings of a method."""
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        write_picture(tmp_path / "contents" / f"{i}.png", pixels)
    for name, color in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        write_picture(tmp_path / "styles" / f"{name}.png", np.full((16, 16, 3), color, dtype=np.uint8))
    write_gatys(tmp_path, steps=30, learning_rate=0.1, style_weight=1e4)
    return tmp_path


def test_an_image_always_goes_to_the_same_translator_and_all_are_used():
    images = torch.rand(24, 3, 4, 4) * 2 - 1
    shared = OneStylePerImage([Constant(level) for level in (-0.5, 0.0, 0.5)])
    levels = shared.translate(images)[:, 0, 0, 0]
    assert set(levels.tolist()) == {-0.5, 0.0, 0.5}
    order = torch.randperm(24)
    assert torch.equal(shared.translate(images[order])[:, 0, 0, 0], levels[order])


@pytest.mark.parametrize(("several", "colors"), [("mixed", {"mixed"}), ("per_image", {"red", "blue"})])
def test_styles_are_mixed_or_one_is_taken_per_image(folder, several, colors):
    method = MethodFileConfig(file=folder / "gatys.yaml", style=(folder / "styles",), several=several)
    config = CompareConfig(
        images=(folder / "contents",), count=8, timed=(), translators={"Gatys": method}, device="cpu"
    )
    result = compare(config).results["Gatys"]
    assert result.error is None
    assert result.cost.style_images == 2

    def color(picture: np.ndarray) -> str:
        red, _, blue = picture.astype(int).mean(axis=(0, 1))
        return "mixed" if abs(red - blue) < 60 else "red" if red > blue else "blue"

    assert {color(picture) for picture in result.pictures} == colors


def test_as_many_styles_as_asked_for_are_taken(folder):
    method = MethodFileConfig(file=folder / "gatys.yaml", style=(folder / "styles",), count=1)
    config = CompareConfig(
        images=(folder / "contents",), count=1, timed=(), translators={"Gatys": method}, device="cpu"
    )
    result = compare(config).results["Gatys"]
    assert result.cost.style_images == 1
    red, _, blue = result.pictures[0].astype(int).mean(axis=(0, 1))
    assert blue > red + 60
