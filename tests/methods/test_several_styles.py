"""Runs of the methods of several styles: resumed, released, extended by a style, and their styles as arguments."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from style_runs import LOSS, SPEC, released, trained, translations, write_pictures

from cyclegan.cli import main
from cyclegan.commands.train import style_overrides
from cyclegan.config import load as load_settings
from cyclegan.config import parse
from cyclegan.errors import UserError
from cyclegan.experiment import Experiment
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.methods.older_styles import replace_older
from cyclegan.training.checkpoint import list_checkpoints, read_release

SMOKE = Path(__file__).parents[2] / "experiments" / "smoke" / "cin.yaml"
CIN = {"name": "cin", "base_channels": 2, "blocks": 1, "loss": LOSS}
STYLEBANK = {"name": "stylebank", "base_channels": 2, "stylizing_steps": 2, "loss": LOSS}  # steps: K K I K
NEW = {"cin": {"network.rows.2"}, "stylebank": {"network.banks.2.weight", "network.banks.2.bias"}}

both = pytest.mark.parametrize("method", [CIN, STYLEBANK], ids=lambda method: method["name"])


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path)
    return tmp_path


@both
def test_a_run_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(method, place, first_difference):
    """Cut after the second step: what scales StyleBank's third is state."""
    run = trained(place, method, "muse", "wave")
    whole = shutil.copytree(run, place / "whole") / "checkpoints" / "step-00000004"
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    trained(place, method, "muse", "wave")
    assert first_difference(whole, list_checkpoints(run / "checkpoints")[-1]) is None


@both
def test_a_released_file_needs_no_style_image_and_no_loss_network(method, place, monkeypatch):
    run = trained(place, method, "muse", "wave")
    monkeypatch.delenv("CYCLEGAN_WEIGHTS", raising=False)
    for style in ("muse", "wave"):
        (place / f"{style}.png").unlink()
    release = run / "checkpoints" / "step-00000004" / "release.safetensors"
    assert list(translations(release)) == ["muse", "wave"]
    tensors, _ = read_release(release)
    assert {name.partition(".")[0] for name in tensors} == {"network"}
    assert main(["translate", str(release), "photos/0.png", "--out", "out", "--to", "muse", "wave"]) == 0
    (mixed,) = (place / "out").rglob("0.png")
    assert read_picture(mixed).shape == (32, 32, 3)


def test_an_export_of_one_style_is_of_that_style_alone(place):
    run = trained(place, CIN, "muse", "wave")
    for file in ("wave.onnx", "wave.safetensors"):
        assert main(["export", str(run), "--out", file, "--to", "wave"]) == 0
        (found,) = translations(place / file).items()
        assert found[0] == "wave"
        assert torch.allclose(found[1], translations(run)["wave"], atol=0.02)


class TestNewStyles:
    """Only what is a new style's own is learned."""

    @both
    def test_the_older_styles_stay_to_the_bit_and_the_new_one_moves(self, method, place):
        base = trained(place, method, "muse", "wave")
        older = translations(base)
        run = trained(place, method | {"extends": str(base)}, "muse", "wave", "ink")
        newer = translations(run)
        assert list(newer) == ["muse", "wave", "ink"]
        assert all(torch.equal(newer[style], older[style]) for style in older)
        before, _ = read_release(next(base.glob("checkpoints/*4/release.safetensors")))
        after, _ = read_release(next(run.glob("checkpoints/*4/release.safetensors")))
        assert set(after) - set(before) == NEW[method["name"]]
        assert all(torch.equal(after[name], before[name]) for name in before)
        if method is CIN:
            assert not torch.equal(after["network.rows.2"][0], torch.ones_like(after["network.rows.2"][0]))

    def test_they_are_resumed_and_then_translate_without_the_run_that_they_extend(self, place, first_difference):
        base = trained(place, CIN, "muse", "wave")
        run = trained(place, CIN | {"extends": str(base)}, "muse", "wave", "ink")
        whole = shutil.copytree(run, place / "whole") / "checkpoints" / "step-00000004"
        shutil.rmtree(run / "checkpoints" / "step-00000004")
        trained(place, CIN | {"extends": str(base)}, "muse", "wave", "ink")
        assert first_difference(whole, list_checkpoints(run / "checkpoints")[-1]) is None
        shutil.rmtree(base)
        assert list(translations(run)) == ["muse", "wave", "ink"]

    def test_draws_of_older_styles_count_for_new_ones(self):
        assert replace_older(torch.tensor([0, 1, 2, 3]), older=2, styles=4).tolist() == [2, 3, 2, 3]
        assert replace_older(torch.tensor([0, 1, 2, 3]), older=0, styles=4).tolist() == [0, 1, 2, 3]

    @both
    @pytest.mark.parametrize(
        ("styles", "settings", "said"),
        [
            (("wave", "muse", "ink"), {}, "has the styles muse, wave; let data.styles begin with these"),
            (("muse", "wave"), {}, "has the styles muse, wave; let data.styles begin with these"),
            (("muse", "wave", "ink"), {"base_channels": 4}, "holds a network of other sizes"),
            (("muse", "wave", "ink"), {"extends": "nowhere"}, "nowhere holds no checkpoint"),
        ],
    )
    def test_runs_that_cannot_be_extended_are_refused(self, method, styles, settings, said, tmp_path):
        base = base_of(tmp_path, method)
        with pytest.raises(UserError, match=said):
            configured(method | {"extends": str(base)} | settings).build(replace(SPEC, styles=styles))

    @both
    def test_runs_of_other_methods_are_refused(self, method, tmp_path):
        base = base_of(tmp_path, method, METHODS["cut"]())
        with pytest.raises(UserError, match=f"was trained by cut; give a run of {method['name']}"):
            configured(method | {"extends": str(base)}).build(SPEC)


def configured(method: dict[str, Any]) -> MethodConfig:
    """Settings of a method."""
    return parse(json.dumps(method), METHODS, "method")


def base_of(folder: Path, method: dict[str, Any], claimed: MethodConfig | None = None) -> Path:
    """A file of two styles, of a method or one that claims to be of another."""
    spec, config = replace(SPEC, styles=("muse", "wave")), configured(method)
    return released(folder / "base.safetensors", config.build(spec).network, spec, claimed or config)


def test_styles_are_given_by_a_folder_and_images_in_this_order(tmp_path, capsys):
    for name in ("b, 2.png", "a: ü.png"):
        write_picture(tmp_path / "styles" / name, np.zeros((16, 16, 3), dtype=np.uint8))
    (tmp_path / "styles" / "notes.txt").write_text("…")
    (override,) = style_overrides([tmp_path / "styles", tmp_path / "new.png"])
    data = load_settings(SMOKE, Experiment, [override]).data
    assert data.spec.styles == ("a: ü", "b, 2", "new")
    assert capsys.readouterr().out.startswith("skipped: 1 .txt")


def test_a_folder_without_style_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="image"):
        style_overrides([tmp_path])


def test_styles_without_an_experiment_are_refused(tmp_path, capsys):
    assert main(["train", "--styles", str(tmp_path)]) == 2
    assert "give the YAML file of an experiment, too" in capsys.readouterr().err
