"""train: whatever interrupts it, the outcome is that of the run that was never interrupted, to the last bit."""

import ast
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import SETTINGS, Crash, Interrupted, Noise, Toy, crash, launch, terminate

from cyclegan.data.buffer import ImageBuffer
from cyclegan.errors import NotFiniteError, StoppedError
from cyclegan.methods import METHODS
from cyclegan.training import loop
from cyclegan.training.checkpoint import Checkpoint, list_checkpoints, read_tensors
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.progress import Progress
from cyclegan.training.signals import stop_requests

STEPS = SETTINGS["steps"]


def newest(folder: Path) -> Path:
    return list_checkpoints(folder / "checkpoints")[-1]


def step_of(folder: Path) -> int:
    return int(newest(folder).name.removeprefix("step-"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The toy, trained without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    launch(folder)
    return newest(folder)


def interrupt(start: Callable[..., None], folder: Path, at: int, how: str, batches) -> None:
    """One launch that ends before its time."""
    if how == "crash":
        with pytest.raises(Crash):
            start(folder, Interrupted(batches, at, crash))
    else:
        with pytest.raises(StoppedError) as stopped:
            start(folder, Interrupted(batches, at, terminate))
        assert stopped.value.exit_code == 143
        assert step_of(folder) == at


MOMENTS = st.dictionaries(st.integers(1, STEPS - 1), st.sampled_from(["crash", "stop"]), min_size=1, max_size=3)


@settings(max_examples=15, deadline=None)
@given(interruptions=MOMENTS)
def test_stopped_or_crashed_up_to_three_times_anywhere_the_outcome_is_the_same(whole, first_difference, interruptions):
    with tempfile.TemporaryDirectory() as place:
        for at, how in sorted(interruptions.items()):
            interrupt(launch, Path(place), at, how, Noise())
        launch(Path(place))
        assert first_difference(whole, newest(Path(place))) is None


def test_a_finished_run_is_left_as_it_is(tmp_path):
    launch(tmp_path)
    before = {path: path.read_bytes() for path in newest(tmp_path).iterdir()}
    launch(tmp_path, Interrupted(Noise(), 1, crash))
    assert {path: path.read_bytes() for path in newest(tmp_path).iterdir()} == before


def test_how_often_it_logs_samples_and_saves_changes_nothing(tmp_path, whole, first_difference):
    launch(tmp_path, log_every=5, sample_every=1, save_every=1, keep_checkpoints=3)
    assert first_difference(whole, newest(tmp_path)) is None


def test_samples_are_painted_by_the_averages(tmp_path):
    painted = []

    def watch(method: Toy) -> None:
        preview = method.preview
        method.preview = lambda batch: painted.append(method.G.weight.detach().clone()) or preview(batch)

    launch(tmp_path, before=watch)
    averages, _ = read_tensors(newest(tmp_path) / "release.safetensors")
    assert len(painted) == 2
    assert torch.equal(painted[-1], averages["G.weight"])


def test_another_seed_is_noticed(tmp_path, whole, first_difference):
    launch(tmp_path, seed=1)
    assert first_difference(whole, newest(tmp_path)) is not None


def nothing(part, *state) -> None:
    """In place of load_state_dict."""


def only_the_painter(optimizers, state) -> None:
    optimizers.adam["painter"].load_state_dict(state["painter"])


DISK_ERRNOS = {
    "the method": (Toy, "load_state_dict", nothing),
    "the buffer": (ImageBuffer, "_load_from_state_dict", nothing),
    "the averages": (EMA, "load_state_dict", nothing),
    "the optimizers": (Optimizers, "load_state_dict", nothing),
    "one optimizer": (Optimizers, "load_state_dict", only_the_painter),
    "the progress": (Progress, "load_state_dict", nothing),
}


@pytest.mark.parametrize(("part", "restore", "instead"), DISK_ERRNOS.values(), ids=DISK_ERRNOS)
def test_whatever_is_not_restored_is_noticed(tmp_path, monkeypatch, whole, first_difference, part, restore, instead):
    interrupt(launch, tmp_path, 7, "stop", Noise())
    monkeypatch.setattr(part, restore, instead)
    launch(tmp_path)
    assert first_difference(whole, newest(tmp_path)) is not None


# What goes wrong


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    def blow_up(method: Toy) -> None:
        step = method.training_step

        def one_too_many(*given):
            losses = step(*given)
            method.D.weight.data.fill_(float("inf"))
            return losses

        method.training_step = one_too_many

    with pytest.raises(NotFiniteError, match=r"^after step 1: method\.D\.weight: holds NaN or infinity"):
        launch(tmp_path, before=blow_up, save_every=1)
    assert list_checkpoints(tmp_path / "checkpoints") == []


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_continued(tmp_path, whole, first_difference, capsys):
    interrupt(launch, tmp_path, 11, "crash", Noise())
    (newest(tmp_path) / "state.safetensors").write_bytes(b"")
    launch(tmp_path)
    said = capsys.readouterr().out
    assert f"skipped: {tmp_path}/checkpoints/step-00000008/state.safetensors: not the bytes that were saved" in said
    assert "continuing after step 4" in said
    assert first_difference(whole, newest(tmp_path)) is None


# Signals


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_finishes_the_step_saves_and_leaves(tmp_path, number, exit_code):
    with pytest.raises(StoppedError) as stopped:
        launch(tmp_path, Interrupted(Noise(), 5, lambda: os.kill(os.getpid(), number)))
    assert stopped.value.exit_code == exit_code
    assert step_of(tmp_path) == 5


def test_asked_to_stop_while_it_saves_it_does_one_more_step_and_saves_that(tmp_path, monkeypatch):
    save = Checkpoint.save

    def save_and_terminate(checkpoint: Checkpoint, step: int) -> Path:
        if step == 4:
            terminate()
        return save(checkpoint, step)

    monkeypatch.setattr(Checkpoint, "save", save_and_terminate)
    with pytest.raises(StoppedError):
        launch(tmp_path)
    assert step_of(tmp_path) == 5


def test_asked_to_stop_in_the_last_step_it_does_not_go_on_to_anything_else(tmp_path, whole, first_difference):
    with pytest.raises(StoppedError):
        launch(tmp_path, Interrupted(Noise(), STEPS, terminate))
    assert first_difference(whole, newest(tmp_path)) is None


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_of_either_kind_is_obeyed_at_once(first):
    with stop_requests() as outer, stop_requests() as stop:
        assert stop.signal_number is None
        os.kill(os.getpid(), first)
        assert (stop.signal_number, outer.signal_number) == (first, None)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [signal.SIG_DFL] * 2


def test_when_nobody_listens_any_more_signals_go_where_they_went_before():
    with stop_requests() as outer:
        with stop_requests():
            terminate()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [outer.receive] * 2


# The code


def trees() -> dict[str, ast.Module]:
    return {path.name: ast.parse(path.read_text()) for path in Path(loop.__file__).parent.glob("*.py")}


def test_the_loop_fits_on_a_screen():
    (train,) = (node for node in trees()["loop.py"].body if isinstance(node, ast.FunctionDef) and node.name == "train")
    assert train.end_lineno - train.lineno < 60


def test_training_knows_no_method():
    settings = {reference.partition(":")[2] for reference in METHODS.table.values()}
    names = settings | {name.removesuffix("Config") for name in settings}
    for file, tree in trees().items():
        for node in ast.walk(tree):
            assert not (
                isinstance(node, ast.Name | ast.alias) and names & {getattr(node, "id", getattr(node, "name", ""))}
            )
            assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cyclegan.methods")), file
