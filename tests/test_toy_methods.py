"""Two methods that the library does not know, one of indexed styles and one of reference sets, from YAML to images.

Each is what a new method is: settings and a class in one file, a line in METHODS, an experiment.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from cyclegan.cli import main
from cyclegan.commands.train import train
from cyclegan.data.batches import IndexedBatch, ReferenceBatch
from cyclegan.data.spec import DataSpec
from cyclegan.data.styles import StylesDataset
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.methods.checks import check_crop, check_schedule
from cyclegan.model.load import load
from cyclegan.protocols import (
    AnyImages,
    Images,
    Losses,
    Masks,
    Minimize,
    Mixes,
    Prepares,
    Preview,
    Stylizes,
    Trainable,
    Translates,
)
from cyclegan.training.checkpoint import list_checkpoints, read_release, read_tensors
from cyclegan.training.training_config import TrainingConfig

SIDE = 16  # px of crops and glyphs
LARGE = 64  # px of photos and styles
TRAINING = {"steps": 4, "save_every": 2, "sample_every": 2, "log_every": 2, "keep_checkpoints": 3, "device": "cpu"}
TRAINING |= {"ema": 0.0, "optimizer": {"lr": 0.05}}


# Styles by index: a color for each


@dataclass(frozen=True, kw_only=True)
class RecolorConfig:
    """Settings of a method of indexed styles."""

    learns_from: ClassVar = ("styles",)
    remedies: ClassVar = {"memory": "take a smaller data.crop_size"}

    name: Literal["recolor"] = "recolor"
    weight: float = 1.0

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        check_crop(spec, 1, 1)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "Recolor":
        return Recolor(self, spec)


class Painter(nn.Module):
    """Content plus a color, of styles mixed by weights (n, styles, h or 1, w or 1)."""

    def __init__(self, styles: int) -> None:
        super().__init__()
        self.colors = nn.Parameter(torch.zeros(styles, 3))

    def forward(self, content: Images, weights: Tensor) -> Images:
        return (content + torch.einsum("nshw,sc->nchw", weights, self.colors)).clamp(-1, 1)


@dataclass(frozen=True)
class MixTranslator:
    """The painter at fixed weights of its styles."""

    painter: Painter
    weights: Tensor

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        weights = self.weights
        if weights.shape[2] > 1:
            weights = nn.functional.interpolate(weights, images.shape[2:])
        return self.painter(images, weights.expand(len(images), -1, -1, -1).to(images))


class Recolor(nn.Module):
    """Learns the mean color of each style."""

    means: Tensor

    def __init__(self, config: RecolorConfig, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.styles = config, spec.styles
        self.painter = Painter(len(spec.styles))
        self.register_buffer("means", torch.zeros(len(spec.styles), 3))

    def prepare(self, styles: Mapping[str, Images]) -> None:
        self.means.copy_(torch.stack([styles[name].mean((0, 2, 3)) for name in self.styles]))

    def parameter_groups(self) -> Mapping[str, Any]:
        return {"painter": self.painter.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        return {"painter": self.painter}

    def training_step(self, batch: IndexedBatch, minimize: Minimize) -> Losses:
        painted = self.painter(batch.content, self._one_hot(batch.style))
        losses = {"color": self.config.weight * (painted.mean((2, 3)) - self.means[batch.style]).square().mean()}
        minimize("painter", losses)
        return losses

    @torch.no_grad()
    def preview(self, batch: IndexedBatch) -> Preview:
        painted = self.painter(batch.content, self._one_hot(batch.style))
        return Preview(
            {"styles": {"content": batch.content, "painted": painted}}, numbers={"mean": float(painted.mean())}
        )

    @property
    def translators(self) -> Mapping[str, MixTranslator]:
        indices = range(len(self.styles))
        return {self.styles[i]: MixTranslator(self.painter, self._one_hot(torch.tensor([i]))) for i in indices}

    def mixed(self, weights: Mapping[str, float], masks: Masks | None = None) -> MixTranslator:
        shares = torch.tensor(list(weights.values()))[:, None, None] / sum(weights.values())
        given = shares if masks is None else masks
        whole = torch.zeros(1, len(self.styles), *given.shape[1:])
        whole[0, [self.styles.index(name) for name in weights]] = given
        return MixTranslator(self.painter, whole)

    def _one_hot(self, indices: Tensor) -> Tensor:
        return nn.functional.one_hot(indices, len(self.styles)).float()[:, :, None, None]


def experiment(folder: Path, method: dict[str, Any], data: dict[str, Any], **training: Any) -> Path:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({"name": "toy", "method": method, "data": data, "training": TRAINING | training}))
    return path


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS.table, "recolor", f"{__name__}:RecolorConfig")
    monkeypatch.setitem(METHODS.table, "glyph_mean", f"{__name__}:GlyphMeanConfig")
    return tmp_path


@pytest.fixture
def recolored(place) -> Path:
    """A finished run of eight photos and two styles."""
    for i in range(8):
        write_picture(place / "photos" / f"{i}.png", np.full((LARGE, LARGE, 3), 100 + i, np.uint8))
    for name, color in (("la_muse", (250, 60, 128)), ("mosaic", (60, 128, 250))):
        write_picture(place / f"{name}.png", np.full((LARGE, LARGE, 3), color, np.uint8))
    data = {"name": "styles", "contents": "photos", "styles": ["la_muse.png", "mosaic.png"]}
    data |= {"load_size": None, "crop_size": SIDE, "batch_size": 2, "workers": 1}
    return train(experiment(place, {"name": "recolor"}, data), [])


def colors_of(run: Path, place: Path, *to: str) -> np.ndarray:
    """The mean color of a translated photo."""
    out = place / "out" / "-".join(to)
    assert main(["translate", str(run), str(place / "photos" / "0.png"), "--out", str(out), *to]) == 0
    return read_picture(out / "0.png").mean((0, 1))


def test_the_toys_keep_the_protocols_they_are_for():
    recolor = RecolorConfig().build(DataSpec(kind="styles", styles=("la_muse",)))
    glyph_mean = GlyphMeanConfig().build(DataSpec(kind="glyphs", references=2))
    for config, protocols, method in (
        (RecolorConfig(), (Trainable, Translates, Mixes, Prepares), recolor),
        (GlyphMeanConfig(), (Trainable, Stylizes), glyph_mean),
    ):
        assert isinstance(config, MethodConfig)
        assert all(isinstance(method, protocol) for protocol in protocols)


def test_indexed_styles_train_and_each_is_a_target(recolored, place):
    assert recolored == Path("runs/photos2style/toy")
    model = load(recolored, device="cpu")
    assert (model.targets, model.source(), model.step) == (["la_muse", "mosaic"], "photos", 4)
    source = read_picture(place / "photos" / "0.png").mean((0, 1))
    red, blue = (colors_of(recolored, place, "--to", name) for name in model.targets)
    assert np.array_equal(colors_of(recolored, place), red)
    assert red[0] > source[0] > red[1]
    assert blue[2] > source[2] > blue[0]


def test_targets_that_are_not_there_are_told_with_those_that_are(recolored, place, capsys):
    command = ["translate", str(recolored), str(place / "photos" / "0.png"), "--out", "out", "--to", "mosiac"]
    assert main(command) == 2
    assert "'mosiac': this model translates to 'la_muse' or 'mosaic'; did you mean 'mosaic'?" in capsys.readouterr().err


def test_targets_are_mixed_by_weights_and_by_masks(recolored, place):
    red, blue = (colors_of(recolored, place, "--to", name) for name in ("la_muse", "mosaic"))
    mixed = colors_of(recolored, place, "--to", "la_muse", "mosaic", "--weights", "3", "1")
    assert np.allclose(mixed, (3 * red + blue) / 4, atol=1)
    half = np.zeros((LARGE, LARGE, 3), np.uint8)
    half[:, : LARGE // 2] = 255
    for name, mask in (("left", half), ("right", 255 - half)):
        write_picture(place / f"{name}.png", mask)
    colors_of(recolored, place, "--to", "la_muse", "mosaic", "--masks", "left.png", "right.png")
    (painted,) = (read_picture(path) for path in (place / "out").rglob("*masks*/0.png"))
    assert np.allclose(painted[:, : LARGE // 2].mean((0, 1)), red, atol=1)
    assert np.allclose(painted[:, LARGE // 2 :].mean((0, 1)), blue, atol=1)


def test_what_was_prepared_from_the_styles_is_restored_and_not_prepared_again(
    recolored, place, monkeypatch, first_difference
):
    whole = shutil.copytree(recolored, place / "whole") / "checkpoints" / "step-00000004"
    tensors, _ = read_tensors(whole / "state.safetensors")
    (means,) = (tensor for name, tensor in tensors.items() if name.endswith("means"))
    assert means[0, 0] > means[1, 0]
    shutil.rmtree(recolored / "checkpoints" / "step-00000004")
    monkeypatch.setattr(StylesDataset, "styles", lambda self: pytest.fail("prepares again"))
    train(place / "toy.yaml", [])
    assert first_difference(whole, list_checkpoints(recolored / "checkpoints")[-1]) is None


def test_a_release_needs_no_style_image(recolored, place):
    for name in ("la_muse", "mosaic"):
        (place / f"{name}.png").unlink()
    release = recolored / "checkpoints" / "step-00000004" / "release.safetensors"
    assert load(release, device="cpu").targets == ["la_muse", "mosaic"]
    assert set(read_release(release)[0]) == {"painter.colors"}


def test_a_card_of_several_styles_names_them_all_and_its_example_works(recolored, place):
    assert main(["export", str(recolored), "--out", "hub"]) == 0
    card = (place / "hub" / "README.md").read_text(encoding="utf-8")
    assert "# photos → la_muse, mosaic\n" in card
    assert "pictures of *photos* become pictures of *la_muse* or *mosaic*." in card
    assert load(place / "hub", device="cpu").targets == ["la_muse", "mosaic"]


# Glyphs by references: their weighted mean


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
def lettered(place) -> Path:
    """A finished run of four fonts of four characters."""
    for font, name in enumerate(("serif", "sans", "mono", "slab")):
        levels = np.array([[0, 60], [120, 180]]) + 15 * font
        sheet = levels.repeat(SIDE, axis=0).repeat(SIDE, axis=1)[..., None].repeat(3, axis=2)
        write_picture(place / "fonts" / f"{name}.png", sheet.astype(np.uint8))
    data = {"name": "glyphs", "fonts": [f"fonts/{name}.png" for name in ("serif", "sans", "mono", "slab")]}
    data |= {"characters": "abcd", "size": SIDE, "references": 2, "batch_size": 2, "workers": 1}
    return train(experiment(place, {"name": "glyph_mean"}, data), [])


def test_reference_sets_train_and_a_release_is_bound_to_the_glyphs_of_a_font(lettered):
    assert lettered == Path("runs/4fonts/toy")
    model = load(lettered, device="cpu")
    assert (model.to, model.step, model.about["data"]) == ("glyph", 4, "glyphs")
    assert model.spec.references == 2
    style = [torch.full((1, 3, SIDE, SIDE), level) for level in (-0.5, 0.5)]
    content = torch.zeros(1, 2, SIDE, SIDE)
    (glyph,) = (model.after(*style).translator().translate(content),)
    assert glyph.shape == (1, 1, SIDE, SIDE)
    expected = model.networks["G"](torch.cat([image[:, :1] for image in style] + [content], 1))
    assert torch.equal(glyph, expected)
    assert not torch.equal(glyph, model.after(*style[::-1]).translator().translate(content))


def test_another_number_of_references_is_refused(lettered):
    with pytest.raises(UserError, match="style: 1 glyphs given; this model takes 2 of one font"):
        load(lettered, device="cpu").after(torch.zeros(1, 3, SIDE, SIDE))


def test_a_run_of_glyphs_continues_to_the_bit(lettered, place, first_difference):
    whole = shutil.copytree(lettered, place / "whole") / "checkpoints" / "step-00000004"
    shutil.rmtree(lettered / "checkpoints" / "step-00000004")
    train(place / "toy.yaml", [])
    assert first_difference(whole, list_checkpoints(lettered / "checkpoints")[-1]) is None


def test_other_data_are_refused_by_name(place):
    data = {"name": "unpaired", "x": "photos", "y": "photos"}
    with pytest.raises(UserError, match="data: recolor learns from styles data, not from unpaired"):
        train(experiment(place, {"name": "recolor"}, data), [])
