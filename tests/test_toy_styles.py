"""A method of indexed styles that the library does not know: a color for each style, from YAML to images.

It is what a new method is: settings and a class in one file, a line in METHODS, an experiment.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_runs import SIDE, experiment

from cyclegan.cli import main
from cyclegan.commands.train import train
from cyclegan.data.batches import IndexedBatch
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
    Trainable,
    Translates,
)
from cyclegan.training.checkpoint import list_checkpoints, read_release, read_tensors
from cyclegan.training.training_config import TrainingConfig

LARGE = 64  # px of photos and styles


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


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS.table, "recolor", f"{__name__}:RecolorConfig")
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


def test_the_method_keeps_the_protocols_it_is_for():
    method = RecolorConfig().build(DataSpec(kind="styles", styles=("la_muse",)))
    assert isinstance(RecolorConfig(), MethodConfig)
    assert all(isinstance(method, protocol) for protocol in (Trainable, Translates, Mixes, Prepares))


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


def test_other_data_are_refused_by_name(place):
    data = {"name": "unpaired", "x": "photos", "y": "photos"}
    with pytest.raises(UserError, match="data: recolor learns from styles data, not from unpaired"):
        train(experiment(place, {"name": "recolor"}, data), [])
