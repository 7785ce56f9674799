"""A method of reference sets that the library does not know: the weighted mean of glyphs, from YAML to images."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_runs import SIDE, experiment

from cyclegan.commands.train import train
from cyclegan.data.batches import ReferenceBatch
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import write_picture
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.methods.checks import check_schedule
from cyclegan.model.load import load
from cyclegan.protocols import (
    AnyImages,
    Losses,
    Masks,
    Minimize,
    Preview,
    Stylizes,
    Trainable,
)
from cyclegan.training.checkpoint import list_checkpoints
from cyclegan.training.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class GlyphMeanConfig:
    """Settings of a method of reference sets."""

    learns_from: ClassVar = ("glyphs",)
    remedies: ClassVar = {"memory": "take a smaller data.batch_size"}

    name: Literal["glyph_mean"] = "glyph_mean"

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "GlyphMean":
        return GlyphMean(spec.references)


class GlyphMean(nn.Module):
    """A 1 × 1 convolution of all references."""

    examples_are = "one set"
    pretrained: ClassVar[Mapping[str, str]] = {}

    def __init__(self, references: int) -> None:
        super().__init__()
        self.references = references
        self.G = nn.Conv2d(2 * references, 1, 1)

    def parameter_groups(self) -> Mapping[str, Any]:
        return {"G": self.G.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        return {"G": self.G}

    def training_step(self, batch: ReferenceBatch, minimize: Minimize) -> Losses:
        losses = {"l1": (self.G(torch.cat([batch.style, batch.content], 1)) - batch.target).abs().mean()}
        minimize("G", losses)
        return losses

    @torch.no_grad()
    def preview(self, batch: ReferenceBatch) -> Preview:
        glyph = self.G(torch.cat([batch.style, batch.content], 1))
        return Preview({"glyphs": {"style": batch.style[:, :1], "glyph": glyph, "target": batch.target}})

    def bind(
        self, *examples: Tensor, weights: Sequence[float | int] | None = None, masks: Masks | None = None
    ) -> "GlyphTranslator":
        if len(examples) != self.references:
            raise UserError(f"style: {len(examples)} glyphs given; this model takes {self.references} of one font")
        return GlyphTranslator(self.G, torch.cat([glyph.mean(1, keepdim=True) for glyph in examples], 1))


@dataclass(frozen=True)
class GlyphTranslator:
    """Content glyphs in the font of the examples."""

    G: nn.Conv2d
    style: Tensor

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        return self.G(torch.cat([self.style.expand(len(images), -1, -1, -1), images], 1))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS.table, "glyph_mean", f"{__name__}:GlyphMeanConfig")
    return tmp_path


@pytest.fixture
def lettered(place) -> Path:
    """A finished run of four fonts of four characters."""
    for font, name in enumerate(("serif", "sans", "mono", "slab")):
        levels = np.array([[0, 60], [120, 180]]) + 15 * font
        sheet = levels.repeat(SIDE, axis=0).repeat(SIDE, axis=1)[..., None].repeat(3, axis=2)
        write_picture(place / "fonts" / f"{name}.png", sheet.astype(np.uint8))
    data = {"name": "glyphs", "fonts": [f"fonts/{name}.png" for name in ("serif", "sans", "mono", "slab")]}
    data |= {"characters": "abcd", "size": SIDE, "references": 2, "batch_size": 2, "workers": 1}
    return train(experiment(place, {"name": "glyph_mean"}, data), [])


def test_the_method_keeps_the_protocols_it_is_for():
    method = GlyphMeanConfig().build(DataSpec(kind="glyphs", references=2))
    assert isinstance(GlyphMeanConfig(), MethodConfig)
    assert isinstance(method, Trainable)
    assert isinstance(method, Stylizes)


def test_reference_sets_train_and_a_release_is_bound_to_the_glyphs_of_a_font(lettered):
    assert lettered == Path("runs/4fonts/toy")
    model = load(lettered, device="cpu")
    assert (model.to, model.step, model.about["data"]) == ("glyph", 4, "glyphs")
    assert model.spec.references == 2
    style = [torch.full((1, 3, SIDE, SIDE), level) for level in (-0.5, 0.5)]
    content = torch.zeros(1, 2, SIDE, SIDE)
    (glyph,) = (model.with_style(*style).translator().translate(content),)
    assert glyph.shape == (1, 1, SIDE, SIDE)
    expected = model.networks["G"](torch.cat([image[:, :1] for image in style] + [content], 1))
    assert torch.equal(glyph, expected)
    assert not torch.equal(glyph, model.with_style(*style[::-1]).translator().translate(content))


def test_another_number_of_references_is_refused(lettered):
    with pytest.raises(UserError, match="style: 1 glyphs given; this model takes 2 of one font"):
        load(lettered, device="cpu").with_style(torch.zeros(1, 3, SIDE, SIDE))


def test_a_run_of_glyphs_continues_to_the_bit(lettered, place, first_difference):
    whole = shutil.copytree(lettered, place / "whole") / "checkpoints" / "step-00000004"
    shutil.rmtree(lettered / "checkpoints" / "step-00000004")
    train(place / "toy.yaml", [])
    assert first_difference(whole, list_checkpoints(lettered / "checkpoints")[-1]) is None
