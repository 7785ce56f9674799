"""Files that the release before wrote, in format 1: they are read, give what they gave, and their run continues."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cyclegan.cli import main
from cyclegan.commands import evaluate
from cyclegan.config import load, parse
from cyclegan.evaluation.compare_config import CompareConfig, IdentityConfig, MethodFileConfig, RunConfig
from cyclegan.experiment import Experiment
from cyclegan.images.rgb8 import read_picture
from cyclegan.methods import METHODS
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.model.load import load as load_model
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.checkpoint import list_checkpoints, read_release

GOLDEN = Path(__file__).parent / "golden"
RUN, RELEASE = GOLDEN / "run", GOLDEN / "release-format-1.safetensors"
MADE_BY = json.loads((GOLDEN / "made_by.json").read_text())
TOLERANCE = 1e-4  # where PyTorch or the processor computes other last digits


def is_the_same_machine() -> bool:
    here = {"torch": torch.__version__.partition("+")[0], "cpu_capability": torch.backends.cpu.get_cpu_capability()}
    return here == MADE_BY


def assert_equal(found: torch.Tensor, golden: torch.Tensor) -> None:
    if is_the_same_machine():
        assert torch.equal(found, golden)
    else:
        torch.testing.assert_close(found, golden, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the golden files were made."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """The golden run, 20 of 30 steps old, where the command looks for it."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(RUN, tmp_path / "runs" / "photo2painting" / "nano")


@pytest.mark.parametrize("path", [RUN, RUN / "checkpoints" / "step-00000020", RELEASE], ids=lambda path: path.name)
def test_a_run_a_checkpoint_and_a_release_of_format_1_have_both_targets(path):
    model = load_model(path, device="cpu")
    assert (model.targets, model.step) == (["painting", "photo"], 20)
    assert (model.source(), model.source("photo")) == ("photo", "painting")
    assert model.about["domain"] == "photo2painting"
    assert model.about["data"] == "unpaired"
    assert (model.about["format"], model.about["library"], model.about["seed"]) == (2, "0.1.0", 0)


def test_what_a_file_says_is_left_as_it_is():
    _, about = read_release(RELEASE)
    assert (about["format"], about["x"], about["y"]) == (1, "photo", "painting")


@pytest.mark.parametrize(("to", "expected"), [([], "painting.png"), (["--to", "photo"], "photo-again.png")])
@pytest.mark.parametrize("path", [RUN, RELEASE], ids=lambda path: path.name)
def test_translations_are_those_of_before(tmp_path, path, to, expected):
    command = ["translate", str(path), str(GOLDEN / "photo.png"), "--out", str(tmp_path), *to]
    assert main(command) == 0
    found, golden = (read_picture(file).astype(int) for file in (tmp_path / "photo.png", GOLDEN / expected))
    assert np.abs(found - golden).max() <= (0 if is_the_same_machine() else 1)


def test_the_run_continues_and_ends_with_the_weights_of_before(run, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_, **__: {})
    assert main(["train", str(run / "config.yaml")]) == 0
    assert "continuing after step 20" in capsys.readouterr().out
    newest = list_checkpoints(run / "checkpoints")[-1]
    assert newest.name == "step-00000030"
    found, golden = load_file(newest / "release.safetensors"), load_file(GOLDEN / "after-30-steps.safetensors")
    assert found.keys() == golden.keys()
    for name, tensor in golden.items():
        assert_equal(found[name], tensor)
    _, about = read_release(newest / "release.safetensors")
    assert (about["format"], list(about["targets"]), about["step"]) == (2, ["painting", "photo"], 30)
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20, 25, 30]


def test_the_weights_of_step_30_are_not_those_of_step_20():
    before, after = load_file(RELEASE), load_file(GOLDEN / "after-30-steps.safetensors")
    assert all((after[name] - before[name]).abs().max() > TOLERANCE for name in after if name.endswith("weight"))


@pytest.mark.parametrize("key", ["training.ema=0.5", "method.lambda_cycle=1.0"])
def test_other_settings_are_still_refused_in_its_folder(run, capsys, key):
    assert main(["train", str(run / "config.yaml"), "--set", key]) == 2
    assert f"{key.partition('=')[0]}: " in capsys.readouterr().err


def test_the_run_is_evaluated(run, capsys):
    assert main(["evaluate", str(run), "--limit", "3", "--metrics", "psnr"]) == 0
    tasks = json.loads((run / "evaluation" / "evaluation.json").read_text())["tasks"]
    assert set(tasks) == {"photo2painting", "painting2photo"}
    for task in tasks.values():
        assert task["rows"]["cyclegan, step 20"]["psnr"]["value"] > 0


# Settings


def test_the_settings_of_the_run_are_those_of_today():
    experiment = load(RUN / "config.yaml", Experiment)
    assert (experiment.name, experiment.data.name, experiment.data.domain) == ("nano", "unpaired", "photo2painting")
    assert (experiment.data.crop_size, experiment.data.batch_size, experiment.data.validation) == (32, 2, 0.1)
    assert (experiment.training.steps, experiment.training.optimizer.betas) == (30, (0.5, 0.999))
    assert parse(read_release(RELEASE)[1]["method"], METHODS, "method") == experiment.method


def test_a_recipe_for_two_folders_is_understood():
    experiment = load(GOLDEN / "recipe.yaml", Experiment)
    assert (experiment.data.x, experiment.data.y) == (Path("photos"), Path("paintings"))
    assert (experiment.data.load_size, experiment.data.crop_size, experiment.data.batch_size) == (100, 64, 4)
    assert experiment.method == CycleGANConfig(
        generator=GeneratorConfig(
            base_channels=16, blocks=4, downsamplings=1, norm="none", stem="shuffle", residual_output=True
        ),
        discriminator=DiscriminatorConfig(base_channels=32, norm="spectral"),
        lambda_cycle=3.0,
        lambda_identity=0.0,
        lambda_r1=0.1,
        augment=("translation", "cutout"),
    )
    assert (experiment.training.steps, experiment.training.ema) == (6000, 0.995)
    assert experiment.training.precision == "auto"


def test_a_comparison_is_understood():
    config = load(GOLDEN / "compare.yaml", CompareConfig)
    assert (config.images, config.count, config.size) == ((Path("photos"),), 2, 64)
    kinds = {name: type(translator) for name, translator in config.translators.items()}
    assert kinds["as it is"] is IdentityConfig
    assert (kinds["trained"], config.translators["trained"].to) == (RunConfig, "painting")
    gatys = config.translators["gatys"]
    assert (kinds["gatys"], gatys.style, gatys.several) == (MethodFileConfig, (Path("paintings"),), "per_image")
