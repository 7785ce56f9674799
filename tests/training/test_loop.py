"""train: whatever interrupts it, the outcome is that of the run that was never interrupted, to the last bit."""

import ast
import os
import signal
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from toy import SETTINGS, Crash, Interrupted, Noise, Toy, crash, launch, terminate

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.buffer import ImageBuffer
from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.unpaired import Unpaired, held_out
from cyclegan.errors import NotFiniteError, StoppedError
from cyclegan.methods import METHODS, build
from cyclegan.methods.settings import CUTConfig, CycleGANConfig, DiscriminatorConfig, GeneratorConfig
from cyclegan.training import loop
from cyclegan.training.checkpoint import Checkpoint, list_checkpoints, read_tensors, verify
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.progress import Progress
from cyclegan.training.signals import stop_requests

STEPS = SETTINGS["steps"]
NANO = CycleGANConfig(
    generator=GeneratorConfig(base_channels=4, blocks=1),
    discriminator=DiscriminatorConfig(base_channels=4, layers=2, norm="spectral"),
    lambda_r1=1.0,
    r1_every=3,
    lambda_gp=1.0,
    buffer_size=8,
    augment=("color", "translation", "cutout"),
    lambda_cycle_final=2.0,
    ramp=(2, 12),
)
NANO_CUT = CUTConfig(generator=NANO.generator, discriminator=NANO.discriminator, head_width=8, patches=9, flip=True)


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
    launch(tmp_path, log_every=5, sample_every=1, save_every=1, keep=3)
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


LOST = {
    "the method": (Toy, "load_state_dict", nothing),
    "the buffer": (ImageBuffer, "_load_from_state_dict", nothing),
    "the averages": (EMA, "load_state_dict", nothing),
    "the optimizers": (Optimizers, "load_state_dict", nothing),
    "one optimizer": (Optimizers, "load_state_dict", only_the_painter),
    "the progress": (Progress, "load_state_dict", nothing),
}


@pytest.mark.parametrize(("part", "restore", "instead"), LOST.values(), ids=LOST)
def test_whatever_is_not_restored_is_noticed(tmp_path, monkeypatch, whole, first_difference, part, restore, instead):
    interrupt(launch, tmp_path, 7, "stop", Noise())
    monkeypatch.setattr(part, restore, instead)
    launch(tmp_path)
    assert first_difference(whole, newest(tmp_path)) is not None


# CycleGAN


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[list[Path]]:
    """Two folders, of seven and of five pictures of noise."""
    sides = []
    for side, count in (("x", 7), ("y", 5)):
        folder = tmp_path_factory.mktemp(side)
        for i in range(count):
            pixels = torch.randint(256, (40, 44, 3), generator=torch.Generator().manual_seed(i), dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
        sides.append(sorted(folder.iterdir()))
    return sides


@pytest.fixture(scope="module")
def read(pictures) -> Callable[..., Unpaired]:
    """Makes the reader of the pictures anew."""
    return lambda **settings: Unpaired(*pictures, reading(**settings), seed=0)


def reading(**settings) -> UnpairedConfig:
    return UnpairedConfig(x=Path("x"), y=Path("y"), load_size=None, crop_size=32, batch_size=2, **settings)


@pytest.fixture(scope="module")
def start(pictures) -> Callable[..., None]:
    """One launch of a small CycleGAN with every option that has a state or draws."""
    return partial(launch, build=lambda: build(NANO), held_out=held_out(*pictures, reading(), count=2))


@pytest.fixture(scope="module")
def whole_cyclegan(tmp_path_factory, start, read) -> Path:
    folder = tmp_path_factory.mktemp("whole-cyclegan")
    start(folder, read())
    return newest(folder)


@pytest.mark.parametrize("interruptions", [{1: "stop"}, {11: "crash"}, {3: "crash", 5: "stop", 7: "stop"}], ids=str)
def test_cyclegan_resumes_to_the_bit(tmp_path, start, read, whole_cyclegan, first_difference, interruptions):
    for at, how in interruptions.items():
        interrupt(start, tmp_path, at, how, read())
    start(tmp_path, read())
    assert first_difference(whole_cyclegan, newest(tmp_path)) is None


def test_cyclegan_resumes_to_the_bit_with_other_readers(tmp_path, start, read, whole_cyclegan, first_difference):
    interrupt(start, tmp_path, 5, "stop", read(workers=3, cache_mb=0))
    start(tmp_path, read(workers=1))
    assert first_difference(whole_cyclegan, newest(tmp_path)) is None


def test_cut_resumes_to_the_bit(tmp_path, pictures, read, first_difference):
    start = partial(launch, build=lambda: build(NANO_CUT), held_out=held_out(*pictures, reading(), count=2))
    start(tmp_path / "whole", read())
    for at, how in ((3, "crash"), (7, "stop")):
        interrupt(start, tmp_path / "interrupted", at, how, read())
    start(tmp_path / "interrupted", read())
    assert first_difference(newest(tmp_path / "whole"), newest(tmp_path / "interrupted")) is None


def forget(lost: str, method) -> None:
    """Let the method restore all of its state but the entries of this name."""
    restore, fresh = method.load_state_dict, {key: value.clone() for key, value in method.state_dict().items()}
    kept = {key: value for key, value in fresh.items() if fnmatch(key, lost)}
    assert kept
    method.load_state_dict = lambda state: restore({**state, **kept})


@pytest.mark.parametrize("lost", ["past_x.images", "past_y.images", "round", "F.layers.1.bias", "D_X.*._v"])
def test_cyclegan_without_a_piece_of_its_state_is_noticed(
    tmp_path, start, read, whole_cyclegan, first_difference, lost
):
    interrupt(start, tmp_path, 7, "stop", read())
    start(tmp_path, read(), before=partial(forget, lost))
    assert first_difference(whole_cyclegan, newest(tmp_path)) is not None


# What goes wrong


class Poisoned(Noise):
    """Batches of which one is not a number."""

    def batch_at(self, step: int) -> UnpairedBatch:
        x, y = super().batch_at(step)
        return UnpairedBatch(x.fill_(float("nan")), y) if step == 9 else UnpairedBatch(x, y)


def test_a_loss_that_is_not_finite_ends_the_run_and_its_checkpoints_stay_good(tmp_path, whole, first_difference):
    with pytest.raises(NotFiniteError, match=r"^after step 9: fool = nan, near = nan: no longer finite") as caught:
        launch(tmp_path, Poisoned())
    assert caught.value.exit_code == 3
    for checkpoint in list_checkpoints(tmp_path / "checkpoints"):
        verify(checkpoint)
    assert step_of(tmp_path) == 8
    launch(tmp_path)
    assert first_difference(whole, newest(tmp_path)) is None


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    def blow_up(method: Toy) -> None:
        method.D.weight.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(NotFiniteError, match=r"^after step 1: method\.D\.weight: holds NaN or infinity"):
        launch(tmp_path, before=blow_up, save_every=1)
    assert list_checkpoints(tmp_path / "checkpoints") == []


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_continued(tmp_path, whole, first_difference, capsys):
    interrupt(launch, tmp_path, 11, "crash", Noise())
    (newest(tmp_path) / "state.safetensors").write_bytes(b"")
    launch(tmp_path)
    said = capsys.readouterr().out
    assert f"passed over: {tmp_path}/checkpoints/step-00000008/state.safetensors: not the bytes that were saved" in said
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
    names = {name for _, name in METHODS.values()} | {kind.__name__ for kind in METHODS}
    for file, tree in trees().items():
        for node in ast.walk(tree):
            assert not (
                isinstance(node, ast.Name | ast.alias) and names & {getattr(node, "id", getattr(node, "name", ""))}
            )
            assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cyclegan.methods")), file
