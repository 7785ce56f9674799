"""A run folder that cannot be written, or no longer: said in one line. tests/faults has two processes want it."""

from pathlib import Path

import pytest

from cyclegan import experiment
from cyclegan.errors import UserError
from cyclegan.training.lock import locked

SMOKE = Path(experiment.__file__).parents[1] / "experiments" / "smoke" / "cyclegan.yaml"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with (
        pytest.raises(UserError, match=r"runs/a: cannot be written \(Not a directory\)"),
        locked(tmp_path / "runs" / "a"),
    ):
        pass


def test_an_error_about_another_file_is_not_taken_for_the_folders(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "run"):
        (tmp_path / "missing").read_text()
