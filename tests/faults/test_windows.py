"""On a system that refuses what Windows refuses, a run is trained, stopped, continued, exported and used."""

import importlib.util
import os
import sys
from pathlib import Path

import nano
import pytest
import torch
from box import save_30, two_saved
from folders import two_sides
from windows import become_windows, held_open

from cyclegan.cli import main
from cyclegan.commands import evaluate
from cyclegan.training import atomic as durable
from cyclegan.training import forecast as plan
from cyclegan.training import lock
from cyclegan.training.checkpoint import Checkpoint, list_checkpoints, read_tensors, write_tensors

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see what is open")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with two sides and the settings of 15 steps, in which the system is as Windows."""
    two_sides(tmp_path, 12)
    (tmp_path / "nano.yaml").write_text(nano.CONFIG.format(steps=15, data=""), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "describe", lambda *_, **__: [])
    monkeypatch.setattr(plan, "profile_step", lambda *_: plan.StepCost(0.01, 0, 0))
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_, **__: {})
    monkeypatch.setattr(durable, "PAUSES", (0.0,))
    become_windows(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def system(place) -> Path:
    """A file that is open for reading only, for what the system of the fixture must refuse."""
    (place / "file").write_text("text", encoding="utf-8")
    return place / "file"


def test_the_system_refuses_what_windows_refuses(system):
    with pytest.raises(PermissionError):
        os.open(system.parent, os.O_RDONLY)
    with system.open("rb") as file:
        for refused in (
            lambda: os.fsync(file.fileno()),
            lambda: system.unlink(),
            lambda: system.rename(system.with_name("other")),
            lambda: (system.parent / "a:b").mkdir(),
        ):
            with pytest.raises(OSError, match=r"used|Bad file descriptor|syntax"):
                refused()
    assert not hasattr(os, "geteuid")


def test_a_run_is_trained_continued_exported_and_used(place, monkeypatch, capsys, figure):
    run = Path("runs/summer2winter/nano")
    saving = Checkpoint.save

    def stop_after_the_first(checkpoint: Checkpoint, step: int) -> Path:
        saved = saving(checkpoint, step)
        if step == 5:
            raise KeyboardInterrupt
        return saved

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stop_after_the_first)
        assert main(["train", "nano.yaml"]) == 130
    assert main(["train", "nano.yaml", "--set=training.keep_checkpoints=2"]) == 0
    assert "continuing after step 5" in capsys.readouterr().out
    assert [path.name for path in list_checkpoints(run / "checkpoints")] == ["step-00000010", "step-00000015"]
    assert not list(place.rglob("*.partial"))

    assert main(["translate", str(run), "summer", "--out", "translated"]) == 0
    assert len(list((place / "translated").iterdir())) == 12
    assert main(["export", str(run), "--out", "released"]) == 0
    assert main(["translate", "released", "summer", "--out", "again"]) == 0
    assert not [held for held in held_open() if held.startswith(str(place))]
    figure("O1", "trained, stopped, continued, translated and exported; 0 files left open")


def test_a_checkpoint_that_is_being_read_is_removed_later(place):
    folder = two_saved(place / "checkpoints")
    with (folder / "step-00000010" / "state.safetensors").open("rb"):
        save_30(folder)
        assert (folder / "step-00000010").exists()
    save_30(folder)
    assert [path.name for path in list_checkpoints(folder)] == ["step-00000020", "step-00000030"]


def test_a_name_is_given_once_the_other_program_has_closed_the_file(place, monkeypatch):
    durable.replace_text(place / "config.yaml", "old")
    holding = (place / "config.yaml").open("rb")
    monkeypatch.setattr(durable, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(durable.time, "sleep", lambda _: holding.close())
    durable.replace_text(place / "config.yaml", "new")
    assert (place / "config.yaml").read_text(encoding="utf-8") == "new"


def test_a_name_that_is_never_free_is_refused_and_the_old_file_stays(place):
    durable.replace_text(place / "config.yaml", "old")
    with (place / "config.yaml").open("rb"), pytest.raises(PermissionError):
        durable.replace_text(place / "config.yaml", "new")
    assert (place / "config.yaml").read_text(encoding="utf-8") == "old"
    assert not (place / "config.yaml.partial").exists()


def test_what_is_read_of_a_checkpoint_does_not_change_with_its_file(place):
    path = place / "a.safetensors"
    write_tensors(path, {"weight": torch.ones(1000)}, {})
    tensors, _ = read_tensors(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(tensors["weight"], torch.ones(1000))


@pytest.mark.parametrize(("module", "missing"), [(lock, "fcntl"), (plan, "resource")])
def test_a_module_is_imported_without_what_only_posix_has(module, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    spec = importlib.util.spec_from_file_location("anew", module.__file__)
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    assert getattr(anew, missing) is None
