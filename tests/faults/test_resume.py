"""A run that was stopped continues to the bit, from every checkpoint and under other circumstances; and the comparison
is not blind: whatever is left out of the checkpoint shows. (R1 to R4, K4)"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import pytest
import torch
from building import build, held_out, unpaired_stream
from nano import timeless
from PIL import Image
from toy import Crash, Interrupted, crash, launch, terminate

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.stream import Stream
from cyclegan.errors import StoppedError
from cyclegan.methods.cut import CUTConfig
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.protocols import Preview
from cyclegan.training.best_weights import Best, ValidationResult
from cyclegan.training.checkpoint import list_checkpoints
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.progress import Progress
from cyclegan.training.provenance import environment

STEPS = 12
X, Y = 10, 7  # pictures: passes of X end with steps 5 and 10, of Y in step 4 and with step 7
METHOD = CycleGANConfig(  # with every option that has a state
    generator=GeneratorConfig(base_channels=4, blocks=1),
    discriminator=DiscriminatorConfig(base_channels=4, layers=2, norm="spectral"),
    lambda_r1=1.0,
    r1_every=3,
    lambda_gp=1.0,
    buffer_size=8,
    augment=("color", "translation", "cutout"),
    lambda_cycle_final=2.0,
    anneal=(2, 12),
)


def newest(folder: Path) -> Path:
    return list_checkpoints(folder / "checkpoints")[-1]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[list[Path]]:
    """Two folders of noise, whose red tells the number of the picture."""
    sides = []
    for side, count in (("x", X), ("y", Y)):
        folder = tmp_path_factory.mktemp(side)
        for i in range(count):
            pixels = torch.randint(256, (40, 44, 3), generator=torch.Generator().manual_seed(i), dtype=torch.uint8)
            pixels[..., 0] = i
            Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
        sides.append(sorted(folder.iterdir()))
    return sides


def reading(**settings) -> UnpairedConfig:
    return UnpairedConfig(x=Path("x"), y=Path("y"), load_size=None, crop_size=32, batch_size=2, **settings)


@pytest.fixture(scope="module")
def read(pictures) -> Callable[..., Stream]:
    """Makes the reader of the pictures anew."""
    return lambda **settings: unpaired_stream(*pictures, reading(**settings), seed=0)


def validator(preview: Preview) -> ValidationResult:
    """It was best the first time."""
    return ValidationResult({}, {}, {"distance": 1.0})


@pytest.fixture(scope="module")
def start(pictures) -> Callable[..., None]:
    """One launch."""
    often = dict(steps=STEPS, log_every=1, save_every=1)
    shown = held_out(*pictures, reading(), count=2)
    return partial(launch, build=lambda: build(METHOD), held_out=shown, validator=validator, **often)


def stop(start: Callable[..., None], folder: Path, at: int, batches, **settings) -> None:
    """One launch that is asked to stop in this step."""
    with pytest.raises(StoppedError):
        start(folder, Interrupted(batches, at, terminate), **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start, read) -> Path:
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    start(folder, read())
    return folder


def test_from_every_checkpoint_it_continues_to_the_bit(
    tmp_path, start, read, whole, first_difference, read_records, figure
):
    for last in range(1, STEPS + 1):
        folder = tmp_path / str(last)
        with pytest.raises(Crash) if last < STEPS else nullcontext():
            start(folder, Interrupted(read(), last + 1, crash))
        assert newest(folder).name == f"step-{last:08d}"
        start(folder, read())
        assert first_difference(newest(whole), newest(folder)) is None, f"from step {last}"
        assert timeless(read_records(folder)) == timeless(read_records(whole)), f"from step {last}"
    figure("R1", f"{STEPS} of {STEPS} checkpoints, 2 of them at the end of an epoch: 0 bits of difference, curves too")


def test_batch_norms_dropout_and_several_scales_continue_to_the_bit(tmp_path, start, read, first_difference):
    other = replace(
        METHOD,
        generator=UnetConfig(base_channels=4, downsamplings=3, norm="batch", dropout=0.5),
        discriminator=DiscriminatorConfig(base_channels=4, layers=1, scales=2, norm="batch"),
    )
    start = partial(start, build=lambda: build(other), schedule="cosine", warmup_steps=3)
    start(tmp_path / "whole", read())
    stop(start, tmp_path / "cut", 6, read())
    start(tmp_path / "cut", read())
    assert first_difference(newest(tmp_path / "whole"), newest(tmp_path / "cut")) is None


def test_cut_continues_to_the_bit(tmp_path, start, read, first_difference):
    cut = CUTConfig(generator=METHOD.generator, discriminator=METHOD.discriminator, head_width=8, patches=9, flip=True)
    start = partial(start, build=lambda: build(cut))
    start(tmp_path / "whole", read())
    stop(start, tmp_path / "cut", 7, read())
    start(tmp_path / "cut", read())
    assert first_difference(newest(tmp_path / "whole"), newest(tmp_path / "cut")) is None


@dataclass
class Told:
    """Batches, and which pictures were in them."""

    batches: Stream
    drawn: list[tuple[int, list[int], list[int]]] = field(default_factory=list)

    def batch_at(self, step: int) -> UnpairedBatch:
        batch = self.batches.batch_at(step)
        reds = (((side[:, 0, 0, 0] + 1) * 127.5).round().int().tolist() for side in batch)
        self.drawn.append((step, *reds))
        return batch

    def names_at(self, step: int) -> dict[str, list[str]]:
        return self.batches.names_at(step)


def test_stopped_three_times_in_one_epoch_it_sees_the_same_pictures_in_the_same_order(
    tmp_path, start, read, whole, first_difference, figure
):
    orders = {}
    for name, stops in (("whole", ()), ("stopped", (1, 3, 4))):
        told = Told(read())
        for at in stops:
            stop(start, tmp_path / name, at, told)
            told.batches = read()
        start(tmp_path / name, told)
        orders[name] = told.drawn
    assert orders["stopped"] == orders["whole"]
    assert [step for step, *_ in orders["whole"]] == list(range(STEPS))
    first_epoch = [number for _, x, _ in orders["whole"][: X // 2] for number in x]
    assert sorted(first_epoch) == list(range(X))
    assert first_epoch != sorted(first_epoch)
    assert first_difference(newest(whole), newest(tmp_path / "stopped")) is None
    figure("R2", f"3 stops in the first epoch: {STEPS} of {STEPS} steps drew the same pictures, 0 bits of difference")


def test_it_continues_to_the_bit_with_other_readers(tmp_path, start, read, whole, first_difference, figure):
    chain = [dict(workers=3, cache_mb=0), dict(workers=1), dict(workers=2, cache_folder=tmp_path / "cache")]
    for at, settings in zip((4, 7), chain, strict=False):
        stop(start, tmp_path / "run", at, read(**settings))
    start(tmp_path / "run", read(**chain[-1]))
    assert first_difference(newest(whole), newest(tmp_path / "run")) is None
    figure("R3", "3 readers, then 1, then 2, with and without caches: 0 bits of difference")


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_on_as_many_threads_it_continues_to_the_bit_and_the_run_tells_how_many(
    tmp_path, start, read, first_difference, figure
):
    larger = CycleGANConfig(
        generator=GeneratorConfig(base_channels=8, blocks=1), discriminator=DiscriminatorConfig(base_channels=8)
    )
    start = partial(start, build=lambda: build(larger), steps=3)
    for number in (1, 2):
        with threads(number):
            assert environment()["threads"] == number
            start(tmp_path / f"{number}", read())
            stop(start, tmp_path / f"{number} stopped", 2, read())
            start(tmp_path / f"{number} stopped", read())
            assert first_difference(newest(tmp_path / f"{number}"), newest(tmp_path / f"{number} stopped")) is None
    other = first_difference(newest(tmp_path / "1"), newest(tmp_path / "2"))
    seen = "the same bits" if other is None else "other bits, as promised only for the same count"
    figure("R4", f"on 1 thread and on 2: 0 bits of difference after a stop; between the two: {seen}")


# Negative controls


def nothing(part, *state) -> None:
    """In place of load_state_dict."""


def without(lost: str, method) -> None:
    """Let the method restore all of its state but the entries of this name."""
    restore, fresh = method.load_state_dict, {key: value.clone() for key, value in method.state_dict().items()}
    kept = {key: value for key, value in fresh.items() if fnmatch(key, lost)}
    assert kept
    method.load_state_dict = lambda state: restore({**state, **kept})


def only(player: str, optimizers, state) -> None:
    optimizers.adam[player].load_state_dict(state[player])


def only_how_often(ema, state) -> None:
    ema.updates = state["updates"]


def only_the_average(ema, state) -> None:
    for key, value in state["average"].items():
        ema.average[key].copy_(value)


METHODS = (
    "G.*",
    "F.*",
    "D_X.*original",
    "D_Y.*original",
    "D_X.*._v",
    "D_Y.*._v",
    "fake_pool_x.images",
    "fake_pool_y.images",
    "iteration",
)
PARTS = {
    "Adam of the generators": (Optimizers, lambda *state: only("discriminators", *state)),
    "Adam of the discriminators": (Optimizers, lambda *state: only("generators", *state)),
    "the averages": (EMA, only_how_often),
    "the number of averaged steps": (EMA, only_the_average),
    "the number of steps": (Progress, nothing),
    "the best distance": (Best, nothing),
}


@pytest.mark.slow
def test_whatever_is_left_out_of_a_checkpoint_shows(tmp_path, start, read, whole, first_difference, figure):
    stop(start, tmp_path / "stopped", 7, read())
    blind = []
    for lost in (None, *METHODS, *PARTS):
        folder = shutil.copytree(tmp_path / "stopped", tmp_path / f"without {lost}")
        with pytest.MonkeyPatch.context() as patch:
            if lost in PARTS:
                patch.setattr(PARTS[lost][0], "load_state_dict", PARTS[lost][1])
            start(folder, read(), before=partial(without, lost) if lost in METHODS else lambda method: None)
        blind += [lost] if first_difference(newest(whole), newest(folder)) is None else []
    assert blind == [None]
    figure(
        "K4", f"{len(METHODS) + len(PARTS)} pieces of the state, left out one by one: {len(blind) - 1} went unnoticed"
    )
