"""Evaluation from the command line: translations that any program made, runs with weights chosen on validation."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cyclegan.cli import main
from cyclegan.config import load
from cyclegan.data.splits import find_splits
from cyclegan.errors import UserError
from cyclegan.evaluation.compare import Targets
from cyclegan.experiment import Experiment
from cyclegan.scoring import Asked, Task, assess_folder, choose_targets, evenly, task_of_domain
from cyclegan.training.checkpoint import read_tensors

SMALL = ["--metrics", "patch-swd", "ms-ssim", "change", "luma", "copying"]
CONFIG = """
name: nano
method:
  name: cyclegan
  generator: {base_channels: 4, blocks: 1}
  discriminator: {base_channels: 4, layers: 2}
data: {x: photos, y: paintings, load_size: null, crop_size: 32, batch_size: 2, validation: 0.2}
training: {steps: 6, log_every: 1, sample_every: 2, save_every: 3, device: cpu}
"""


def write(
    folder: Path, picture: np.ndarray, count: int, side: int = 40, edit=lambda p: p, name: str = "{}.png"
) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(count)
    for i in range(count):
        y, x = (int(random.integers(size - side)) for size in picture.shape[:2])
        Image.fromarray(edit(picture[y : y + side, x : x + side, :3])).save(folder / name.format(i))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "photos", data.astronaut(), 12)
    write(tmp_path / "paintings", data.coffee(), 12)
    return tmp_path


def test_translations_of_another_program_are_scored_by_their_names(place, capsys):
    write(place / "theirs", data.astronaut(), 12, edit=lambda p: 255 - p, name="{}_fake_B.png")
    for other in ("0_real_A.png", "0_rec_A.png"):
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(place / "theirs" / other)
    assert main(["evaluate", "theirs", "--sources", "photos", "--targets", "paintings", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "| theirs |" in printed
    assert "**Alarm.** theirs: color inversion" in printed
    written = json.loads((place / "runs" / "evaluation" / "theirs" / "evaluation.json").read_text())
    row = written["directions"]["photos2paintings"]["unpaired"]["rows"]["theirs"]
    assert row["luma"]["value"] == pytest.approx(-1)
    assert (place / "runs" / "evaluation" / "theirs" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos"], "photos: is no run; say what its pictures are translations of: --domain"),
        (["photos", "--domain", "photo2money"], "photo2money"),
        (["photos", "--domain", "photo2tint", "--to", "mint"], "--to: photo2tint has the sides tint and photo"),
        (["photos", "--sources", "nowhere", "--targets", "paintings"], "nowhere: no pictures there"),
        (["few", "--sources", "photos", "--targets", "paintings"], "few: 9 of 12 sources have no translation there, "),
        (["large", "--sources", "photos", "--targets", "paintings"], "are 44×44 and 40×40 pixels"),
        (["photos", "--sources", "photos", "--targets", "paintings", "--metrics", "beauty"], "metrics: 'beauty' is"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(place, capsys, arguments, said):
    write(place / "few", data.astronaut(), 3)
    write(place / "large", data.astronaut(), 12, side=44)
    assert main(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_copied_training_picture_is_found_in_a_folder(place, capsys):
    write(place / "copies", data.coffee(), 12)  # the very paintings
    assert main(["evaluate", "copies", "--sources", "photos", "--targets", "paintings", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "**Alarm.** copies: copying: 1.00" in printed
    assert printed.count("**Alarm.**") == 1


def test_a_run_reports_its_last_weights_and_those_that_validated_best(place, capsys):
    (place / "nano.yaml").write_text(CONFIG)
    assert main(["train", "nano.yaml"]) == 0
    folder = place / "runs" / "photos2paintings" / "nano"
    printed = capsys.readouterr().out
    assert "validates on 2 + 2 pictures kept aside" in printed
    best = read_tensors(folder / "best.safetensors")[1]["about"]
    assert set(best["validation"]) == {"G(x)", "F(y)"}
    assert f"cyclegan, best on validation, step {best['step']}" in printed
    assert "cyclegan, step 6" in printed
    sources = find_splits(load(folder / "config.yaml", Experiment).data)
    kept = [set(paths) for paths in (sources.train_x, sources.validation_x, sources.test_x)]
    assert not kept[0] & kept[1] | kept[0] & kept[2] | kept[1] & kept[2]
    unpaired = json.loads((folder / "evaluation" / "evaluation.json").read_text())["directions"]["photos2paintings"]
    assert len(unpaired["unpaired"]["rows"]) >= 5  # floor, ceiling, two rivals, the run
    assert 0 <= unpaired["cycle"]["cyclegan, step 6"]["honesty"] <= 1


def test_a_method_of_one_direction_is_trained_validated_scored_and_translates_that_way_only(place, capsys):
    one_way = CONFIG.replace("name: cyclegan", "name: cut\n  head_width: 8")
    (place / "nano.yaml").write_text(one_way)
    assert main(["train", "nano.yaml"]) == 0
    assert "cut, best on validation, step" in capsys.readouterr().out
    run = place / "runs" / "photos2paintings" / "nano"
    _, described = read_tensors(run / "best.safetensors")
    assert set(described["about"]["validation"]) == {"G(x)"}
    report = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert list(report["directions"]) == ["photos2paintings"]
    assert "cut, step 6" in report["directions"]["photos2paintings"]["unpaired"]["rows"]
    assert report["directions"]["photos2paintings"]["cycle"] == {}
    assert {path.name.partition("-x_to_y")[1] for path in (run / "samples").iterdir()} == {"-x_to_y", ""}

    assert main(["translate", str(run), "photos", "--to", "paintings", "--out", "painted"]) == 0
    assert len(list((place / "painted").iterdir())) == 12
    capsys.readouterr()
    assert main(["translate", str(run), "photos", "--to", "photos", "--out", "back"]) == 2
    assert "'photos': this model translates to 'paintings'\n" in capsys.readouterr().err


def test_several_runs_are_summed_up_by_mean_and_deviation(place, capsys):
    (place / "nano.yaml").write_text(CONFIG)
    runs = []
    for seed in (0, 1):
        assert main(["train", "nano.yaml", "--set", f"seed={seed}", "--set", f"name=seed{seed}"]) == 0
        runs.append(place / "runs" / "photos2paintings" / f"seed{seed}")
    capsys.readouterr()
    assert main(["evaluate", *map(str, runs), "--metrics", "patch-swd", "change"]) == 0
    summary = capsys.readouterr().out.split("2 runs, mean ± standard deviation")[1]
    line = next(line for line in summary.splitlines() if line.startswith("| photos2paintings/patch-swd"))
    mean, deviation, *each = (float(number) for number in re.findall(r"0\.\d+(?:e-\d+)?", line))
    assert mean == pytest.approx(np.mean(each), abs=2e-4)
    assert deviation == pytest.approx(np.std(each, ddof=1), rel=0.1, abs=2e-4)

    assert main(["evaluate", *map(str, runs), "--out", "x"]) == 2
    assert "--out: each run keeps its own report" in capsys.readouterr().err
    assert main(["evaluate", str(runs[0]), "photos"]) == 2
    assert "only runs are evaluated together" in capsys.readouterr().err


def test_options_of_pictures_are_refused_for_a_run(place, capsys):
    (place / "run").mkdir()
    (place / "run" / "config.yaml").write_text(CONFIG)
    assert main(["evaluate", "run", "--to", "paintings"]) == 2
    assert "--to: run is a run, whose settings say that" in capsys.readouterr().err


def test_a_training_that_diverges_says_so_and_keeps_its_good_weights(place, capsys):
    """NaN is the loudest alarm: training ends, with its own exit code, the loss's name and what may help."""
    (place / "nano.yaml").write_text(CONFIG)
    assert main(["train", "nano.yaml", "--set", "training.optimizer.lr=1e30"]) == 3
    error = capsys.readouterr().err
    assert "no longer finite; try a lower learning rate" in error
    assert "after step" in error


def test_realism_is_measured_by_the_training_where_few_targets_are_held_out():
    train, test = ([Path(f"{side}{i}") for i in range(count)] for side, count in (("a", 1200), ("b", 120)))
    assert choose_targets(train, test) == Targets(evenly(train, 1000), test)
    assert len(choose_targets(train, test).references) == 1000
    many = [Path(f"c{i}") for i in range(600)]
    assert choose_targets(train, many).references == many


def test_a_domain_can_be_read_from_either_side():
    from cyclegan.data.settings import UnpairedConfig

    sources = find_splits(UnpairedConfig(domain="photo2tint"))
    assert task_of_domain(sources, None).name == "photo2tint"
    assert task_of_domain(sources, "photo").name == "tint2photo"


def test_only_so_many_pictures_are_looked_at_evenly_spaced(place):
    import torch

    task = Task("it", sorted((place / "photos").iterdir()), Targets())
    report = assess_folder(place / "photos", task, torch.device("cpu"), Asked(4, only=["ssim"]))
    assert len(report.pictures["source"]) == 4
    assert report.captions[0] == task.sources[0].stem
    assert report.captions[-1] == task.sources[-1].stem
    assert report.assessment.rows["photos"]["ssim"].value == 1
    with pytest.raises(UserError, match="have no translation there"):
        assess_folder(place / "paintings" / "..", Task("it", [Path("x.png")], Targets()), torch.device("cpu"), Asked())
