"""Run: the records that a run leaves behind, and which run a folder belongs to."""

import io
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray
from toy import SETTINGS, Crash, Interrupted, Noise, crash, launch

from cyclegan.config import dump
from cyclegan.data.settings import UnpairedConfig
from cyclegan.errors import UserError
from cyclegan.experiment import Experiment, completed
from cyclegan.training.checkpoint import Checkpoint
from cyclegan.training.run import OPERATIONAL, Run, training_hours
from cyclegan.training.settings import TrainingConfig

LOGGED = [2, 4, 6, 8, 10, 12]


@pytest.fixture(scope="module", autouse=True)
def event_files_in_order():
    """Files written within one second are read in the order of a counter compared as text; real launches lie apart."""
    event_file_writer._global_uid._value = 10_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory, read_records):
    """The records of a run without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    launch(folder)
    return read_records(folder)


def crash_at(folder: Path, step: int) -> None:
    with pytest.raises(Crash):
        launch(folder, Interrupted(Noise(), step, crash))


@pytest.fixture(scope="module")
def crashed(tmp_path_factory, read_records):
    """The records of a run that crashed before its first checkpoint, then three times beyond the last one."""
    folder = tmp_path_factory.mktemp("crashed")
    for step in (4, 8, 9, 12):
        crash_at(folder, step)
    launch(folder)
    return read_records(folder)


def without_speed(records) -> tuple[list, dict]:
    log = [{key: value for key, value in line.items() if key != "speed"} for line in records.log]
    return log, {tag: points for tag, points in records.scalars.items() if not tag.startswith("speed/")}


def test_each_logged_step_has_one_line_and_one_value_of_every_curve(whole):
    assert [line["step"] for line in whole.log] == LOGGED
    for tag, points in whole.scalars.items():
        sampled = tag.startswith("health/")
        assert [step for step, _ in points] == ([6, 12] if sampled else LOGGED), tag


def test_curves_are_grouped(whole):
    assert set(whole.scalars) == {
        *(f"loss/{name}" for name in ("fool", "near", "D")),
        *(f"speed/{name}" for name in ("steps_per_second", "images_per_second", "waiting_for_data", "judging")),
        "learning_rate",
        "health/D_Y fake",
    }
    assert set(whole.images) == {"samples/x_to_y: x | G(x)"}


def test_log_and_curves_say_the_same(whole):
    for line in whole.log:
        for name, value in line["loss"].items():
            assert dict(whole.scalars[f"loss/{name}"])[line["step"]] == pytest.approx(value, rel=1e-6)
        assert dict(whole.scalars["learning_rate"])[line["step"]] == pytest.approx(line["learning_rate"])
        assert line["speed"]["images_per_second"] == pytest.approx(4 * line["speed"]["steps_per_second"])
        assert 0 <= line["speed"]["waiting_for_data"] <= 1


def test_after_crashes_log_and_curves_are_those_of_a_run_without(whole, crashed):
    assert without_speed(crashed) == without_speed(whole)
    assert [line["step"] for line in crashed.log] == LOGGED
    for tag, points in crashed.scalars.items():
        assert [step for step, _ in points] == [step for step, _ in whole.scalars[tag]], tag


def test_samples_are_pictures_of_the_right_size(whole, crashed):
    for records in (whole, crashed):
        ((_, images),) = records.images.items()
        assert [image.step for image in images] == [6, 12]
        for image in images:
            pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
            assert pixels.shape == (2 + 2 * (8 + 2), 2 + 2 * (8 + 2), 3)  # two rows, two columns, gaps of 2
            assert pixels[2:10, 2:10].std() > 10
            assert pixels[2:10, 12:20].std() > 1


def test_samples_are_kept_as_files_too(tmp_path, read_records):
    launch(tmp_path)
    files = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in files] == ["step-00000006-x_to_y.png", "step-00000012-x_to_y.png"]
    (shown,) = read_records(tmp_path).images.values()
    for file, image in zip(files, shown, strict=True):
        assert np.array_equal(Image.open(file), Image.open(io.BytesIO(image.encoded_image_string)))


def test_the_settings_can_be_read_in_tensorboard(whole, crashed):
    for records in (whole, crashed):
        (event,) = records.tensors["config/text_summary"]
        (text,) = make_ndarray(event.tensor_proto)
        assert dump(TrainingConfig(**SETTINGS)) in text.decode()


def test_charts_of_the_custom_page_show_curves_that_exist(whole, crashed):
    for records in (whole, crashed):
        (event,) = records.tensors["custom_scalars__config__"]
        (game,) = Layout.FromString(make_ndarray(event.tensor_proto).item()).category
        charts = {
            chart.title: {tag for tag in records.scalars for pattern in chart.multiline.tag if re.match(pattern, tag)}
            for chart in game.chart
        }
        assert charts == {
            "painter": {"loss/fool", "loss/near"},
            "critic": {"loss/D"},
            "health": {"health/D_Y fake"},
        }


def test_a_run_cut_off_before_its_first_line_gets_its_charts_all_the_same(tmp_path, read_records):
    with pytest.raises(Crash):
        launch(tmp_path, Interrupted(Noise(), 3, crash), log_every=5, save_every=1)
    launch(tmp_path, log_every=5, save_every=1)
    assert len(read_records(tmp_path).tensors["custom_scalars__config__"]) == 1


def test_what_a_killed_run_has_logged_up_to_its_checkpoint_is_in_tensorboard_already(
    tmp_path, monkeypatch, read_records
):
    write, save = RecordWriter.write, Checkpoint.save

    def write_late(writer: RecordWriter, data: bytes) -> None:
        time.sleep(0.01)
        write(writer, data)

    def look_and_save(checkpoint: Checkpoint, step: int) -> Path:
        shutil.copytree(tmp_path / "run", tmp_path / f"at {step}")
        return save(checkpoint, step)

    monkeypatch.setattr(RecordWriter, "write", write_late)
    monkeypatch.setattr(Checkpoint, "save", look_and_save)
    launch(tmp_path / "run", save_every=1, steps=4)
    assert "config/text_summary" in read_records(tmp_path / "at 1").tensors
    for step in (2, 4):
        assert [at for at, _ in read_records(tmp_path / f"at {step}").scalars["loss/D"]] == LOGGED[: step // 2]


@pytest.mark.parametrize("torn", ['{"step": 8, "lo', "{", '{"step": 8', '\0\0\0\0\n{"step": 3, "loss": {}}\n'])
def test_a_line_that_was_cut_off_is_dropped(tmp_path, torn, whole):
    crash_at(tmp_path, 8)
    log = tmp_path / "log.jsonl"
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 4, 6]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]) + torn)
    launch(tmp_path)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == LOGGED
    assert [json.loads(line)["loss"] for line in log.read_text().splitlines()] == [line["loss"] for line in whole.log]


def test_the_hours_of_a_training_are_those_of_its_logged_steps(tmp_path):
    assert training_hours(tmp_path) is None
    crash_at(tmp_path, 8)
    log = tmp_path / "log.jsonl"
    speeds = [json.loads(line)["speed"]["steps_per_second"] for line in log.read_text().splitlines()]
    assert training_hours(tmp_path) == pytest.approx(sum(2 / speed for speed in speeds) / 3600)
    with log.open("a") as file:
        file.write('{"step": 8, "lo')
    assert training_hours(tmp_path) == pytest.approx(sum(2 / speed for speed in speeds) / 3600)


def test_it_says_what_happens(tmp_path, capsys):
    crash_at(tmp_path, 11)
    launch(tmp_path)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith("step 2/12  fool ")
    assert "continuing after step 8" in lines
    steps = [line for line in lines if line.startswith("step ")]
    assert steps[-1].startswith("step 12/12")
    assert steps[-1].endswith(" left")
    looks = [
        line
        for line in lines
        if re.fullmatch(r"looking at the run takes [\d.]+ s each time, about [\d.]+% of the whole", line)
    ]
    assert len(looks) == 2  # at the first look of each start
    assert said.err == ""


# Whose folder it is

SETTLED = dump(TrainingConfig(steps=100))


def test_a_folder_of_other_settings_is_refused_with_what_differs_and_both_remedies(tmp_path):
    folder = tmp_path / "run"
    Run(folder, SETTLED, {}, 4)
    changed = dump(TrainingConfig(steps=200, ema=0.5, keep=3))
    with pytest.raises(UserError) as refused:
        Run(folder, changed, {}, 4)
    text = str(refused.value)
    assert text.startswith(f"{folder}: holds a run with other settings:\n")
    assert "  steps: 100 → 200\n" in text
    assert "  ema: 0.999 → 0.5\n" in text
    assert "--set name=" in text
    assert f"rm -r {folder}" in text
    assert (folder / "config.yaml").read_text() == SETTLED


def experiment(data: dict | None = None, training: dict | None = None) -> str:
    data, training = {"domain": "photo2monet"} | (data or {}), {"steps": 10} | (training or {})
    return dump(Experiment(name="a", data=UnpairedConfig(**data), training=TrainingConfig(**training)))


CHANGES = {
    "data.workers": 7,
    "data.cache_mb": 1,
    "data.cache_folder": Path("decoded"),
    "data.timeout": 60.0,
    "training.device": "cuda",
    "training.recompute": True,
    "training.log_every": 3,
    "training.sample_every": 3,
    "training.save_every": 3,
    "training.keep": 3,
}


def test_every_operational_setting_is_tried_here():
    assert set(CHANGES) == set(OPERATIONAL)


@pytest.mark.parametrize(("key", "value"), CHANGES.items())
def test_settings_of_no_consequence_may_change_and_are_noted(tmp_path, key, value):
    section, name = key.split(".")
    changed = experiment(**{section: {name: value}})
    assert changed != experiment()
    Run(tmp_path, experiment(), {}, 4)
    Run(tmp_path, changed, {}, 4)
    assert (tmp_path / "config.yaml").read_text() == changed


def test_how_often_a_plateau_is_looked_at_is_of_consequence(tmp_path):
    def looked_at(every: int) -> str:
        return experiment({"validation": 0.1}, {"schedule": "plateau", "sample_every": every})

    Run(tmp_path, looked_at(10), {}, 4)
    with pytest.raises(UserError, match=r"training\.sample_every: 10 → 20"):
        Run(tmp_path, looked_at(20), {}, 4)


def test_a_run_older_than_a_setting_continues_as_it_was_begun(tmp_path):
    younger = experiment()
    assert younger.count("  on_bad_picture: error\n") == 1
    (tmp_path / "config.yaml").write_text(younger.replace("  on_bad_picture: error\n", ""))
    with pytest.raises(UserError, match=r"data\.on_bad_picture: absent → 'error'"):
        Run(tmp_path, younger, {}, 4)
    with pytest.raises(UserError, match=r"data\.on_bad_picture: 'error' → 'skip'"):
        Run(tmp_path, experiment({"on_bad_picture": "skip"}), {}, 4, completed)
    Run(tmp_path, younger, {}, 4, completed)
    assert (tmp_path / "config.yaml").read_text() == younger


def test_settings_that_cannot_be_completed_are_told_as_they_are(tmp_path):
    (tmp_path / "config.yaml").write_text("name: nano\ncolor: blue\n")
    with pytest.raises(UserError, match="color: 'blue' → absent"):
        Run(tmp_path, experiment(), {}, 4, completed)


def test_a_change_of_consequence_is_told_without_those_of_none(tmp_path):
    Run(tmp_path, experiment(), {}, 4)
    with pytest.raises(UserError) as refused:
        Run(tmp_path, experiment({"workers": 9, "batch_size": 2}, {"keep": 4}), {}, 4)
    assert "  data.batch_size: 1 → 2\n" in str(refused.value)
    assert "workers" not in str(refused.value)
    assert "keep" not in str(refused.value)


def test_the_settings_are_replaced_at_once(tmp_path, monkeypatch):
    Run(tmp_path, experiment(), {}, 4)

    def cut_off(old: Path, new: Path) -> None:
        raise Crash

    monkeypatch.setattr("os.replace", cut_off)
    with pytest.raises(Crash):
        Run(tmp_path, experiment({"workers": 9}), {}, 4)
    assert (tmp_path / "config.yaml").read_text() == experiment()


def test_the_environment_is_kept_with_the_run(tmp_path):
    Run(tmp_path, SETTLED, {"torch": "2.15"}, 4)
    assert json.loads((tmp_path / "environment.json").read_text()) == {"torch": "2.15"}


def test_scores_appear_on_the_page_of_hyperparameters(tmp_path, read_records):
    launch(tmp_path)
    run = Run(tmp_path, dump(TrainingConfig(**SETTINGS)), {}, 4)
    for scored in (19.0, 21.5):  # the second time by the same command on the finished run
        run.add_hyperparameters({"lr": 2e-4, "name": "cyclegan"}, {"psnr": scored})
    records = read_records(tmp_path)
    assert [value for _, value in records.scalars["score/psnr"]] == [21.5]
    assert len(records.scalars["loss/D"]) == len(LOGGED)


def test_after_twenty_steps_the_forecast_is_corrected_once(tmp_path, capsys):
    launch(tmp_path, steps=50)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("measured")]
    assert len(said) == 1
    assert re.fullmatch(
        r"measured  over 20 steps: about \d+ s for the rest, at most [\d,]+ MB of memory in use", said[0]
    )


def test_a_run_of_fewer_steps_needs_no_correction(tmp_path, capsys):
    launch(tmp_path, steps=20)
    assert "measured" not in capsys.readouterr().out
