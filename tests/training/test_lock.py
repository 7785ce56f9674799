"""A run folder belongs to one process at a time, and to nobody after that one's end, however it came."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cyclegan import experiment
from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.training.lock import locked

SMOKE = Path(experiment.__file__).parents[1] / "experiments" / "smoke" / "cyclegan.yaml"
HOLD = """
import sys, time
from pathlib import Path
from cyclegan.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    root = str(Path(experiment.__file__).parents[1])
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_whose_the_folder_is(tmp_path, holder):
    with (
        pytest.raises(UserError, match=rf"run: locked by process {holder.pid} on .*, which trains there"),
        locked(tmp_path / "run"),
    ):
        pass


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_the_folder_of_a_killed_process_is_free(tmp_path, holder, way):
    holder.send_signal(way)
    holder.wait()
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / "lock").read_text().startswith(f"{os.getpid()} on ")


def test_a_folder_can_be_locked_again_and_what_a_dead_process_left_does_not_matter(tmp_path):
    (tmp_path / "lock").write_text("1 on another machine with a very long name\n")
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()} on ")


def test_train_ends_with_exit_code_2_and_touches_nothing_in_a_folder_that_is_in_use(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "photo2painting" / "smoke"
    with locked(folder):
        assert main(["train", str(SMOKE)]) == 2
    assert "locked by process" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["lock"]


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
