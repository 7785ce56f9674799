"""Every file that once lied successfully is refused in one line; V1: what was released once is still read, or named."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mutants import lines
from PIL import Image
from toy import launch

from cyclegan import load
from cyclegan.cli import main
from cyclegan.config import load as load_settings
from cyclegan.data.archive import unpack
from cyclegan.errors import UserError
from cyclegan.experiment import Experiment
from cyclegan.images.rgb8 import read_picture
from cyclegan.networks.weights import read_tensors
from cyclegan.training.run import Run
from cyclegan.training.run_log import training_hours

CORPUS, RELEASED = Path(__file__).with_name("corpus"), Path(__file__).with_name("released")
READERS: dict[str, Callable[[Path, Path], object]] = {
    "releases": lambda file, room: load(file, device="cpu"),
    "weights": lambda file, room: read_tensors(file),
    "settings": lambda file, room: load_settings(file, Experiment),
    "pictures": lambda file, room: read_picture(file),
    "archives": lambda file, room: unpack(file, room / "out"),
}
FILES = [file for kind in READERS for file in sorted((CORPUS / kind).iterdir())]
LOGS = sorted((CORPUS / "logs").iterdir())


def test_what_once_lied_is_refused_in_one_line(tmp_path, monkeypatch, figure):
    monkeypatch.chdir(tmp_path)
    for file in FILES:
        with pytest.raises(UserError) as caught:
            READERS[file.parent.name](file, tmp_path)
        said = str(caught.value)
        assert caught.value.exit_code == 2, file
        assert said.startswith(str(file)), said
        assert said.isprintable(), file
        assert len(said) < 1000, file
    assert list(tmp_path.iterdir()) == []
    figure("F", f"{len(FILES) + len(LOGS)} files of the corpus: none gets through again")


@pytest.mark.parametrize("file", LOGS, ids=lambda file: file.name)
def test_of_a_damaged_log_the_whole_lines_are_kept(tmp_path, file):
    shutil.copy(file, tmp_path / "log.jsonl")
    assert training_hours(tmp_path) == 4 / 4.0 / 3600
    assert Run(tmp_path, "a: 1\n", {})._trim_log(step=2) == 1


def test_settings_of_a_run_that_are_no_text_are_named(tmp_path):
    shutil.copy(CORPUS / "settings" / "bytes.yaml", tmp_path / "config.yaml")
    with pytest.raises(UserError, match=rf"^{re.escape(str(tmp_path))}/config\.yaml:4:1: .* is no character of a text"):
        Run(tmp_path, "a: 1\n", {})


def test_every_file_of_the_corpus_has_a_line():
    told = set(re.findall(r"^\| `(.+?)`", (CORPUS / "README.md").read_text(), re.MULTILINE))
    assert told == {file.relative_to(CORPUS).as_posix() for file in [*FILES, *LOGS]}


# V1


@pytest.mark.parametrize("name", ["format-1", "format-1-without-sha256"])
def test_what_was_released_once_is_still_read_and_paints_the_same(name, figure):
    painter = load(RELEASED / f"{name}.safetensors", device="cpu")
    assert (painter.source(), painter.to, painter.step) == ("photo", "painting", 60)
    assert "sha256" not in painter.about
    for side in ("painting", "photo"):
        painted = np.asarray(painter(RELEASED / "source.png", to=side)).astype(int)
        stored = np.asarray(Image.open(RELEASED / f"{side}.png")).astype(int)
        assert stored.std() > 10
        assert np.abs(painted - stored).max() <= 1  # a level, for another machine adds up in another order
    figure("V1", f"{name}: loads, and paints both ways what it painted when it was released")


def test_a_training_continues_from_a_checkpoint_that_was_saved_once(tmp_path, capsys, figure):
    saved, whole = tmp_path / "run" / "checkpoints" / "step-00000008", tmp_path / "whole"
    shutil.copytree(RELEASED / "checkpoint-1", saved)
    launch(tmp_path / "run")
    assert "continuing after step 8\n" in capsys.readouterr().out
    launch(whole)
    found, expected = (
        read_tensors(folder / "checkpoints" / "step-00000012" / "state.safetensors")
        for folder in (saved.parents[1], whole)
    )
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():  # on another machine the last digits differ
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
    figure("V1", "a checkpoint of format 1: a training continues from it as if it had never ended")


def test_what_will_be_released_later_is_refused_with_its_version(tmp_path, capsys, figure):
    picture = str(RELEASED / "source.png")
    assert main(["translate", str(RELEASED / "format-3.safetensors"), picture, "--out", str(tmp_path)]) == 2
    (said,) = lines(capsys.readouterr().err)
    assert "was written by cyclegan 9.0 in format 3, newer than this library; update cyclegan" in said
    figure("V1", "a file of format 3: exit code 2, and the line names the version that wrote it")
