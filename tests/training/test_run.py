"""Run: the records that a run leaves behind, and which run a folder belongs to."""

import io
import json
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_ndarray
from toy import CPU, SETTINGS, Crash, Interrupted, Noise, crash, launch

from cyclegan.config import dump
from cyclegan.training.checkpoint import Checkpoint
from cyclegan.training.run import Run
from cyclegan.training.run_log import training_hours
from cyclegan.training.training_config import TrainingConfig

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
        sampled = tag.startswith("probability_real/")
        assert [step for step, _ in points] == ([6, 12] if sampled else LOGGED), tag


def test_curves_are_grouped(whole):
    assert set(whole.scalars) == {
        *(f"loss/{name}" for name in ("fool", "near", "D")),
        *(f"speed/{name}" for name in ("steps_per_second", "images_per_second", "waiting_for_data", "validating")),
        "learning_rate",
        "probability_real/D_Y real",
        "probability_real/D_Y fake",
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
            "probability_real": {"probability_real/D_Y real", "probability_real/D_Y fake"},
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
        if re.fullmatch(r"samples and validation take [\d.]+ s each time, about [\d.]+% of the whole", line)
    ]
    assert len(looks) == 2  # at the first look of each start
    assert said.err == ""


def test_scores_appear_on_the_page_of_hyperparameters(tmp_path, read_records):
    launch(tmp_path)
    run = Run(tmp_path, dump(TrainingConfig(**SETTINGS)), {})
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


@pytest.mark.parametrize("log_every", [5, 10, 50])
def test_a_look_at_the_run_counts_for_no_forecast_and_for_one_log(tmp_path, monkeypatch, capsys, log_every):
    clock = 0.0
    monkeypatch.setattr("cyclegan.training.run.time", SimpleNamespace(perf_counter=lambda: clock))
    run = Run(tmp_path, "name: it\n", {})
    with run.recording(0, 81, CPU):
        for step in range(1, 51):
            clock += 1.0
            run.advance(step, images=2)
            if step % log_every == 0:
                run.log(step, {"D": torch.zeros(())}, 2e-4, {})
            if step == 7:
                with run.validating():
                    clock += 100.0
    assert "measured  over 20 steps: about 60 s for the rest" in capsys.readouterr().out
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    judged = [record["speed"]["validating"] for record in records]
    assert [share > 0 for share in judged] == [step - log_every < 7 <= step for step in range(log_every, 51, log_every)]
