"""A run folder that cannot be written, or no longer: said in one line. tests/faults has two processes want it."""

import errno
import os
from pathlib import Path

import pytest
import torch

from cyclegan import experiment
from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.training.lock import locked
from cyclegan.training.run import Run
from cyclegan.training.step import Parts

SMOKE = Path(experiment.__file__).parents[1] / "experiments" / "smoke" / "cyclegan.yaml"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with (
        pytest.raises(UserError, match=r"runs/a: cannot be written \(Not a directory\)"),
        locked(tmp_path / "runs" / "a"),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_lost_disk_ends_training_with_exit_code_4_and_one_line(tmp_path, monkeypatch, capsys, number):
    def fail(self, step, *_):
        raise OSError(number, os.strerror(number))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "log", fail)
    assert main(["train", str(SMOKE)]) == 4
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: runs/photo2painting/smoke: can no longer be written ({os.strerror(number)}); "
        "make room, and the same command continues"
    )


def test_a_run_folder_that_vanishes_ends_training_with_exit_code_4(tmp_path, monkeypatch, capsys):
    log = Run.log

    def vanish(self, *arguments):
        self.folder.rename(tmp_path / "elsewhere")
        log(self, *arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "log", vanish)
    assert main(["train", str(SMOKE)]) == 4
    assert "can no longer be written (No such file or directory)" in capsys.readouterr().err


def test_an_error_about_another_file_is_not_taken_for_the_folders(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "run"):
        (tmp_path / "missing").read_text()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_step_that_needs_too_much_memory_ends_with_exit_code_4_and_the_remedy(tmp_path, monkeypatch, capsys, error):
    def fail(*_):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Parts, "step", fail)
    assert main(["train", str(SMOKE)]) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert "smoke/cyclegan.yaml: a step needs more memory than there is; set training.recompute to true" in said
