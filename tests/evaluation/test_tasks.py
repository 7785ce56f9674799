"""Evaluation from the command line: translations of any program, runs, and the images that are scored."""

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
from cyclegan.data.task import Task
from cyclegan.evaluation.tasks import choose, task_of_domain
from cyclegan.experiment import Experiment
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
    assert "**Failure.** theirs: color inversion" in printed
    written = json.loads((place / "runs" / "evaluation" / "theirs" / "evaluation.json").read_text())
    row = written["tasks"]["photos2paintings"]["rows"]["theirs"]
    assert row["luma"]["value"] == pytest.approx(-1)
    assert (place / "runs" / "evaluation" / "theirs" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos"], "photos: is not a run; name the sources of its translations: --domain"),
        (["photos", "--domain", "photo2money"], "photo2money"),
        (["photos", "--domain", "photo2tint", "--to", "mint"], "--to: photo2tint has the targets tint and photo"),
        (["photos", "--sources", "nowhere", "--targets", "paintings"], "nowhere: no such folder"),
        (["few", "--sources", "photos", "--targets", "paintings"], "few: 9 of 12 sources have no translation there, "),
        (["large", "--sources", "photos", "--targets", "paintings"], "are 44×44 and 40×40 pixels"),
        (
            ["photos", "--sources", "photos", "--targets", "paintings", "--metrics", "beauty"],
            "metrics: 'beauty' is",
        ),
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
    assert "**Failure.** copies: copying: 1.00" in printed
    assert printed.count("**Failure.**") == 1


def test_a_run_reports_its_last_weights_and_those_that_validated_best(place, capsys):
    (place / "nano.yaml").write_text(CONFIG)
    assert main(["train", "nano.yaml"]) == 0
    folder = place / "runs" / "photos2paintings" / "nano"
    printed = capsys.readouterr().out
    assert "validates on 2 + 2 images kept aside" in printed
    best = read_tensors(folder / "best.safetensors")[1]["about"]
    assert set(best["validation"]) == {"paintings", "photos"}
    assert f"cyclegan, best on validation, step {best['step']}" in printed
    assert "cyclegan, step 6" in printed
    x = find_splits(load(folder / "config.yaml", Experiment).data).x
    kept = [set(paths) for paths in (x.train, x.validation, x.test)]
    assert not kept[0] & kept[1] | kept[0] & kept[2] | kept[1] & kept[2]
    task = json.loads((folder / "evaluation" / "evaluation.json").read_text())["tasks"]["photos2paintings"]
    assert len(task["rows"]) >= 5  # reference, identity, two baselines, the run
    assert 0 <= task["cycle"]["cyclegan, step 6"]["perturbation_ratio"] <= 1


def test_a_method_of_one_direction_is_trained_validated_scored_and_translates_that_way_only(place, capsys):
    one_way = CONFIG.replace("name: cyclegan", "name: cut\n  head_width: 8")
    (place / "nano.yaml").write_text(one_way)
    assert main(["train", "nano.yaml"]) == 0
    assert "cut, best on validation, step" in capsys.readouterr().out
    run = place / "runs" / "photos2paintings" / "nano"
    _, described = read_tensors(run / "best.safetensors")
    assert set(described["about"]["validation"]) == {"paintings"}
    report = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert list(report["tasks"]) == ["photos2paintings"]
    assert "cut, step 6" in report["tasks"]["photos2paintings"]["rows"]
    assert report["tasks"]["photos2paintings"]["cycle"] == {}
    assert {path.name.partition("-x_to_y")[1] for path in (run / "samples").iterdir()} == {"-x_to_y", ""}

    assert main(["translate", str(run), "photos", "--to", "paintings", "--out", "painted"]) == 0
    assert len(list((place / "painted").iterdir())) == 12
    capsys.readouterr()
    assert main(["translate", str(run), "photos", "--to", "photos", "--out", "back"]) == 2
    assert "'photos': this model translates to 'paintings'\n" in capsys.readouterr().err


def test_a_method_that_takes_style_images_is_scored_after_its_training_like_the_others(place, capsys):
    adain = CONFIG.split("data:")[1]
    method = "name: adain\nmethod: {name: adain, encoder: random, precision: float32}\ndata:"
    (place / "adain.yaml").write_text(method + adain.replace("steps: 6", "steps: 1"))
    assert main(["train", "adain.yaml"]) == 0
    report = json.loads((place / "runs" / "photos2paintings" / "adain" / "evaluation" / "evaluation.json").read_text())
    assert list(report["tasks"]) == ["photos2paintings"]
    rows = report["tasks"]["photos2paintings"]["rows"]
    assert rows["adain, step 1"].keys() == rows["identity"].keys()
    assert rows["adain, step 1"]["change"]["value"] > 1


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
    assert "--to: run is a run, whose settings give it" in capsys.readouterr().err


def test_a_training_that_diverges_says_so_and_keeps_its_good_weights(place, capsys):
    """NaN is the clearest warning: training ends, with its own exit code, the loss's name and what may help."""
    (place / "nano.yaml").write_text(CONFIG)
    assert main(["train", "nano.yaml", "--set", "training.optimizer.lr=1e30"]) == 3
    error = capsys.readouterr().err
    assert "no longer finite; try a lower learning rate" in error
    assert "after step" in error


def of_targets(train: int, test: int) -> Task:
    from cyclegan.data.splits import Side, Splits

    x = Side(name="x", train=[], test=[Path("x0")])
    y = Side(name="y", train=[Path(f"a{i}") for i in range(train)], test=[Path(f"b{i}") for i in range(test)])
    return Splits(domain="x2y", x=x, y=y, paired=frozenset()).tasks()[0]


def test_realism_is_measured_by_the_training_where_few_images_are_held_out(monkeypatch):
    monkeypatch.setattr("cyclegan.evaluation.tasks.near_duplicates", lambda *_: {})
    few, many = (choose(of_targets(1200, count)).task for count in (120, 600))
    assert len(few.references) == 1000
    assert {few.references[0].name, few.references[-1].name} == {"a0", "a1199"}
    assert len(few.held_out) == 120
    assert (len(many.references), len(many.held_out)) == (600, 1000)


def test_with_duplicates_left_out_too_few_images_are_held_out(monkeypatch):
    twins = {Path(f"b{i}"): Path(f"a{i}") for i in range(5)}
    monkeypatch.setattr(
        "cyclegan.evaluation.tasks.near_duplicates", lambda test, _: twins if Path("b0") in test else {}
    )
    chosen = choose(of_targets(600, 502))
    assert chosen.duplicates == 5
    assert (len(chosen.task.references), len(chosen.task.held_out)) == (600, 497)


def test_a_domain_can_be_read_from_either_side():
    assert task_of_domain("photo2tint", None).name == "photo2tint"
    assert task_of_domain("photo2tint", "photo").name == "tint2photo"


def test_an_example_is_never_the_truth_of_its_source():
    task = task_of_domain("photo2tint")
    assert all(len(group) == 1 for group in task.examples)
    assert not [truth for truth, group in zip(task.truths, task.examples, strict=True) if truth in group]


def test_a_folder_is_scored_beside_the_truth_where_its_domain_has_one(place, capsys):
    paths = task_of_domain("photo2tint").sources
    for path in paths:
        (place / "theirs").mkdir(exist_ok=True)
        Image.open(path).save(place / "theirs" / path.name)
    assert main(["evaluate", "theirs", "--domain", "photo2tint", "--metrics", "psnr", "ssim", "l1"]) == 0
    lines = {line.split(" | ")[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")}
    for row in ("Monge-Kantorovich", "median + Monge-Kantorovich", "theirs", r"best linear 7×7\*"):
        assert f"| {row}" in lines
    assert lines["| theirs"].removeprefix("| theirs") == lines["| identity"].removeprefix("| identity")


def test_a_model_that_takes_style_images_is_scored_as_it_is_released(place, capsys):
    from little import write_gatys

    write_gatys(place, steps=1)
    arguments = ["--domain", "photo2tint", "--metrics", "l1", "change", "--limit", "2"]
    assert main(["evaluate", "gatys.yaml", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| gatys |") == 2  # beside the truth, and among failure modes
    assert (place / "runs" / "evaluation" / "gatys" / "photo2tint.png").exists()


def test_count_is_understood_as_the_earlier_name_of_limit(place, capsys):
    arguments = ["--sources", "photos", "--targets", "paintings", "--metrics", "ssim-source"]
    for option in ("--limit", "--count"):
        assert main(["evaluate", "photos", *arguments, option, "4"]) == 0
    written = json.loads((place / "runs" / "evaluation" / "photos" / "evaluation.json").read_text())
    task = written["tasks"]["photos2paintings"]
    paths = sorted(path.stem for path in (place / "photos").iterdir())
    assert len(task["images"]) == 4
    assert {paths[0], paths[-1]} <= set(task["images"])
    assert task["rows"]["photos"]["ssim-source"]["value"] == 1
