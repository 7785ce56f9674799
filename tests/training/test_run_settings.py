"""Whose folder it is: a run goes on by the settings it was begun with, but for those of no consequence."""

import json
import shlex
from pathlib import Path

import pytest
from toy import CPU, Crash

from cyclegan.config import dump
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.errors import UserError
from cyclegan.experiment import Experiment, complete
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.training.run import OPERATIONAL, Run
from cyclegan.training.training_config import TrainingConfig

SETTLED = dump(TrainingConfig(steps=100))


def test_a_folder_of_other_settings_is_refused_with_what_differs_and_both_remedies(tmp_path):
    folder = tmp_path / "run"
    Run(folder, SETTLED, {})
    changed = dump(TrainingConfig(steps=200, ema=0.5, keep_checkpoints=3))
    with pytest.raises(UserError) as refused:
        Run(folder, changed, {})
    text = str(refused.value)
    assert text.startswith(f"{folder}: holds a run with other settings:\n")
    assert "  steps: 100 → 200\n" in text
    assert "  ema: 0.999 → 0.5\n" in text
    assert "--set name=" in text
    assert f"rm -r {folder}" in text
    assert (folder / "config.yaml").read_text() == SETTLED


def experiment(data: dict | None = None, training: dict | None = None) -> str:
    data, training = {"domain": "photo2monet"} | (data or {}), {"steps": 10} | (training or {})
    settings = {"data": UnpairedConfig(**data), "training": TrainingConfig(**training)}
    return dump(Experiment(name="a", method=CycleGANConfig(), **settings))


CHANGES = {
    "data.workers": 7,
    "data.cache_mb": 1,
    "data.cache_folder": Path("decoded"),
    "data.timeout": 60.0,
    "training.device": "cuda",
    "training.activation_checkpointing": True,
    "training.log_every": 3,
    "training.sample_every": 3,
    "training.save_every": 3,
    "training.keep_checkpoints": 3,
}


def test_every_operational_setting_is_tried_here():
    assert set(CHANGES) == set(OPERATIONAL)


@pytest.mark.parametrize(("key", "value"), CHANGES.items())
def test_settings_of_no_consequence_may_change_and_are_noted(tmp_path, key, value):
    section, name = key.split(".")
    changed = experiment(**{section: {name: value}})
    assert changed != experiment()
    Run(tmp_path, experiment(), {})
    Run(tmp_path, changed, {})
    assert (tmp_path / "config.yaml").read_text() == changed


def test_how_often_a_plateau_is_looked_at_is_of_consequence(tmp_path):
    def looked_at(every: int) -> str:
        return experiment({"validation": 0.1}, {"schedule": "plateau", "sample_every": every})

    Run(tmp_path, looked_at(10), {})
    with pytest.raises(UserError, match=r"training\.sample_every: 10 → 20"):
        Run(tmp_path, looked_at(20), {})


CONTINUING = "continuing after step 5\n"


def two_folders(x: str, y: str) -> str:
    return experiment({"domain": None, "x": Path(x), "y": Path(y)})


def test_where_pictures_lie_is_noted_only_once_they_are_known_to_be_the_same(tmp_path, capsys):
    Run(tmp_path, two_folders("d1/photos", "d1/paint"), {})
    (tmp_path / "checkpoints" / "step-00000005").mkdir(parents=True)
    moved = Run(tmp_path, two_folders("d2/photos", "d1/paint"), {})
    assert moved.moved == ["data.x: 'd1/photos' → 'd2/photos'"]
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == two_folders("d1/photos", "d1/paint")
    with moved.recording(5, 10, CPU):
        assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == two_folders("d2/photos", "d1/paint")
    assert (
        "moved     data.x: 'd1/photos' → 'd2/photos': the same pictures, by name and size\n" in capsys.readouterr().out
    )


def test_before_the_first_checkpoint_nothing_is_known_and_the_new_place_is_noted_at_once(tmp_path):
    Run(tmp_path, two_folders("d1/photos", "d1/paint"), {})
    assert not Run(tmp_path, two_folders("d2/photos", "d2/paint"), {}).moved
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == two_folders("d2/photos", "d2/paint")


def test_two_folders_instead_of_a_domain_are_a_change_of_consequence(tmp_path):
    Run(tmp_path, experiment(), {})
    with pytest.raises(UserError, match=r"data\.domain: 'photo2monet' → null"):
        Run(tmp_path, two_folders("photo", "monet"), {})


def test_the_command_that_removes_a_run_removes_no_other_folder(tmp_path):
    folder = tmp_path / "runs" / "my photos2paintings" / "a"
    Run(folder, SETTLED, {})
    with pytest.raises(UserError) as refused:
        Run(folder, dump(TrainingConfig(steps=200)), {})
    printed = str(refused.value).rpartition("(")[2].removesuffix(")")
    assert shlex.split(printed) == ["rm", "-r", str(folder)]


def test_a_run_older_than_a_setting_continues_as_it_was_begun(tmp_path):
    younger = experiment()
    assert younger.count("  on_bad_image: error\n") == 1
    (tmp_path / "config.yaml").write_text(younger.replace("  on_bad_image: error\n", ""))
    with pytest.raises(UserError, match=r"data\.on_bad_image: absent → 'error'"):
        Run(tmp_path, younger, {})
    with pytest.raises(UserError, match=r"data\.on_bad_image: 'error' → 'skip'"):
        Run(tmp_path, experiment({"on_bad_image": "skip"}), {}, complete)
    Run(tmp_path, younger, {}, complete)
    assert (tmp_path / "config.yaml").read_text() == younger


def test_settings_that_cannot_be_completed_are_told_as_they_are(tmp_path):
    (tmp_path / "config.yaml").write_text("name: nano\ncolor: blue\n")
    with pytest.raises(UserError, match="color: 'blue' → absent"):
        Run(tmp_path, experiment(), {}, complete)


def test_a_change_of_consequence_is_told_without_those_of_none(tmp_path):
    Run(tmp_path, experiment(), {})
    with pytest.raises(UserError) as refused:
        Run(tmp_path, experiment({"workers": 9, "batch_size": 2}, {"keep_checkpoints": 4}), {})
    assert "  data.batch_size: 1 → 2\n" in str(refused.value)
    assert "workers" not in str(refused.value)
    assert "keep_checkpoints" not in str(refused.value)


def test_the_settings_are_replaced_at_once(tmp_path, monkeypatch):
    Run(tmp_path, experiment(), {})

    def cut_off(old: Path, new: Path) -> None:
        raise Crash

    monkeypatch.setattr("os.replace", cut_off)
    with pytest.raises(Crash):
        Run(tmp_path, experiment({"workers": 9}), {})
    assert (tmp_path / "config.yaml").read_text() == experiment()


OLD, NEW = {"torch": "2.15", "threads": 2, "numpy": "2.4"}, {"torch": "2.16", "threads": 1, "numpy": "2.4"}


def launch_at(folder: Path, step: int, environment: dict) -> list[dict]:
    """What environment.json tells after a launch that continues from a step."""
    if step:
        (folder / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    Run(folder, SETTLED, environment)
    return json.loads((folder / "environment.json").read_text())


def test_the_environment_is_kept_with_the_run(tmp_path, capsys):
    assert launch_at(tmp_path, 0, OLD) == [{"step": 0, **OLD}]
    assert launch_at(tmp_path, 5, OLD) == [{"step": 0, **OLD}]
    assert capsys.readouterr().out == ""


def test_another_environment_is_added_and_said_if_it_decides_on_the_last_digits(tmp_path, capsys):
    launch_at(tmp_path, 0, OLD)
    assert launch_at(tmp_path, 5, OLD | {"numpy": "2.5"})[1:] == [{"step": 5, **OLD, "numpy": "2.5"}]
    assert capsys.readouterr().out == ""
    assert launch_at(tmp_path, 8, NEW)[2:] == [{"step": 8, **NEW}]
    assert capsys.readouterr().out == (
        "note      torch 2.16 and not 2.15, threads 1 and not 2, as when this run began: "
        "its last digits may become others (environment.json)\n"
    )
    assert len(launch_at(tmp_path, 9, NEW)) == 3
    assert "threads 1 and not 2" in capsys.readouterr().out


@pytest.mark.parametrize("content", ['{"torch": "2.15", "threads": 2}', "[", "[1]", ""])
def test_the_environment_of_an_older_run_is_read_and_a_damaged_one_is_made_anew(tmp_path, content):
    (tmp_path / "environment.json").write_text(content)
    known = [json.loads(content)] if content.startswith("{") else []
    assert launch_at(tmp_path, 5, NEW) == [*known, {"step": 5, **NEW}]


def test_a_run_that_begins_anew_has_no_earlier_environment(tmp_path):
    launch_at(tmp_path, 0, OLD)
    assert launch_at(tmp_path, 0, NEW) == [{"step": 0, **NEW}]
