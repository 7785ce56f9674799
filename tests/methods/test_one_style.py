"""Runs of the methods of one style: resumed, released, and used without the style image."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from photos import draw
from toy_runs import experiment

from cyclegan.cli import main
from cyclegan.commands.train import train
from cyclegan.data.styles import StylesDataset
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import read
from cyclegan.model.load import load
from cyclegan.training.checkpoint import list_checkpoints, read_release

LAYERS = {"content_layers": {"relu2_1": 2.0}, "style_layers": {"relu1_1": 3.0, "relu2_1": 1.0}}
LOSS = {"weights": "random", **LAYERS}
TRANSFORM = {"base_channels": 2, "blocks": 1, "norm": "instance", "padding": "reflect", "upsampling": "resize"}
ONE_STYLE = {
    "johnson": {"name": "johnson", "generator": TRANSFORM, "loss": LOSS},
    "texture_nets": {"name": "texture_nets", "generator": {"name": "pyramid", "levels": 2}, "loss": LOSS},
}


@pytest.fixture(params=ONE_STYLE)
def run(request, tmp_path, monkeypatch) -> Path:
    """A finished run of four steps."""
    monkeypatch.chdir(tmp_path)
    for i in range(8):
        draw(tmp_path / "photos" / f"{i}.png", (40, 36))
    draw(tmp_path / "muse.png", (48, 40))
    data = {"name": "styles", "contents": "photos", "styles": ["muse.png"]}
    data |= {"load_size": None, "crop_size": 32, "batch_size": 2, "workers": 1}
    return train(experiment(tmp_path, ONE_STYLE[request.param], data), [])


def test_a_release_needs_neither_the_style_image_nor_the_loss_network(run, tmp_path):
    (tmp_path / "muse.png").unlink()
    release = run / "checkpoints" / "step-00000004" / "release.safetensors"
    assert all(name.startswith("G.") for name in read_release(release)[0])
    assert main(["translate", str(release), str(tmp_path / "photos" / "0.png"), "--out", "out"]) == 0
    painted = read_picture(tmp_path / "out" / "0.png")
    loaded = load(release, device="cpu")
    assert loaded.targets == ["muse"]
    whole = load(run, device="cpu")(read(tmp_path / "photos" / "0.png"))
    assert np.array_equal(painted, ((whole[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy())


def test_a_resumed_run_ends_as_the_whole_one_and_prepares_nothing(run, tmp_path, monkeypatch, first_difference):
    whole = shutil.copytree(run, tmp_path / "whole") / "checkpoints" / "step-00000004"
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    monkeypatch.setattr(StylesDataset, "styles", lambda self: pytest.fail("prepares again"))
    train(tmp_path / "toy.yaml", [])
    assert first_difference(whole, list_checkpoints(run / "checkpoints")[-1]) is None
