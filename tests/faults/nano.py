"""nano: the smallest CycleGAN, trained by a command that can be killed.

A launch is forked from a server that has imported everything already. It notes whatever it begins and ends in the file
`events`, so that nobody strikes by the clock: one waits for an event, and at most a few milliseconds more.
"""

import ctypes
import functools
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import watching
from folders import two_sides

from cyclegan import cli
from cyclegan.training.checkpoint import list_checkpoints

SEED = 20  # of all moments
TIMEOUT = 120  # seconds that nothing here should ever take
SAVE_EVERY = 5
CONFIG = """
name: nano
method:
  name: cyclegan
  generator: {{base_channels: 4, blocks: 1}}
  discriminator: {{base_channels: 4, layers: 2}}
  buffer_size: 8
data: {{x: {data}summer, y: {data}winter, load_size: null, crop_size: 32, batch_size: 2}}
training: {{steps: {steps}, log_every: 2, sample_every: 10, save_every: 5, device: cpu}}
"""
IMPORTED = (  # by the server; the first two are what every test process needs
    *("__main__", "pytest", "cyclegan.cli", "cyclegan.experiment", "cyclegan.methods.cyclegan"),
    *(
        "cyclegan.data.unpaired",
        "cyclegan.evaluation.validation",
        "cyclegan.evaluation.evaluator",
        "cyclegan.model.load",
    ),
    *(
        "cyclegan.commands.evaluate",
        "cyclegan.training.loop",
        "cyclegan.training.lock",
        "torch._inductor.cudagraph_trees",
    ),
)


@functools.cache
def forks() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have all that they import already, on one thread each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        multiprocessing.forkserver.ensure_running()
    return context


class Event(NamedTuple):
    """Something that a launch did: `step` when it begins one, `step done` when it is done."""

    what: str
    at: float  # by the clock of the machine, which all processes share


@dataclass(frozen=True)
class Place:
    """A folder in which the command is typed."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "summer2winter" / "nano"

    def said(self) -> str:
        """What all launches have said."""
        output = self.folder / "output.txt"
        return output.read_text() if output.exists() else ""

    def events(self) -> list[Event]:
        """Of the last launch."""
        file = self.folder / "events"
        lines = (line.rpartition(" ") for line in file.read_text().splitlines()) if file.exists() else ()
        return [Event(what, float(at)) for what, _, at in lines]

    def count(self, what: str) -> int:
        return sum(event.what == what for event in self.events())

    def longest(self, what: str) -> float:
        """Seconds."""
        found = self.events()
        begun = [event.at for event in found if event.what == what]
        return max((end - start for start, end in zip(begun, self._ends(what), strict=False)), default=0.0)

    def _ends(self, what: str) -> list[float]:
        return [event.at for event in self.events() if event.what == f"{what} done"]

    def checkpoints(self) -> list[Path]:
        return list_checkpoints(self.run / "checkpoints")

    def steps_saved(self) -> int:
        committed = self.checkpoints()
        return int(committed[-1].name.removeprefix("step-")) if committed else 0

    def partials(self) -> list[Path]:
        return list(self.run.rglob("*.partial"))


def set_up(folder: Path, steps: int, data: str = "") -> Place:
    """Settings and pictures."""
    (folder / "nano.yaml").write_text(CONFIG.format(steps=steps, data=data))
    two_sides(folder, 12)
    return Place(folder)


def typed(folder: Path, *before: str, overrides: tuple[str, ...] = ()) -> str:
    """`cyclegan train nano.yaml`, all the way of a user; what it says."""
    root = str(Path(cli.__file__).parents[1])
    command = [*before, sys.executable, "-m", "cyclegan", "train", "nano.yaml", *overrides]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(command, cwd=folder, env=environment, timeout=TIMEOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def launched(place: Place, hang: tuple[str, int] | None = None, score: bool = False) -> Iterator[BaseProcess]:
    """The same, forked; it does not outlive this context. It can be made to hang where an event begins, the n-th."""
    (place.folder / "events").unlink(missing_ok=True)
    process = forks().Process(target=command_line, args=(place.folder, hang, score), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(TIMEOUT)


def command_line(folder: Path, hang: tuple[str, int] | None, score: bool) -> None:
    """What happens in the process. It does not profile_step, which takes a second, nor score unless it is asked to."""
    from cyclegan.commands import evaluate
    from cyclegan.data.stream import Stream
    from cyclegan.methods.cyclegan import CycleGAN
    from cyclegan.training import forecast as plan
    from cyclegan.training.checkpoint import Checkpoint

    os.setsid()
    os.chdir(folder)
    output, events = (os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("output.txt", "events"))
    os.dup2(output, 1)
    os.dup2(output, 2)
    plan.profile_step = lambda *_: plan.StepCost(0.01, 0, 0)
    if not score:
        evaluate.evaluate_run = lambda *_, **__: {}
    watched = {
        "read": (Stream, "batch_at"),
        "step": (CycleGAN, "training_step"),
        "look": (CycleGAN, "preview"),
        "save": (Checkpoint, "save"),
        "flush": (os, "fsync"),
    }
    for what, (owner, name) in watched.items():
        setattr(owner, name, noted(what, getattr(owner, name), events, hang[1] if hang and hang[0] == what else 0))
    sys.exit(cli.main(["train", "nano.yaml"]))


def noted(what: str, do: Callable[..., Any], events: int, hang: int) -> Callable[..., Any]:
    begun = 0

    def do_and_note(*arguments: Any, **options: Any) -> Any:
        nonlocal begun
        begun += 1
        os.write(events, f"{what} {time.monotonic()}\n".encode())
        if begun == hang:
            os.write(events, f"hang {time.monotonic()}\n".encode())
            hang_for_ever()
        result = do(*arguments, **options)
        os.write(events, f"{what} done {time.monotonic()}\n".encode())
        return result

    return do_and_note


def hang_for_ever() -> None:
    """In a function of C that no signal interrupts, as a long operation of PyTorch: a lock is asked for twice."""
    mutex = ctypes.create_string_buffer(256)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)


def ends(process: BaseProcess) -> int | None:
    """Wait for the end; the exit code, below 0 for a signal."""
    process.join(TIMEOUT)
    return process.exitcode


def wait_until(seen: Callable[[], bool], process: BaseProcess, place: Place) -> None:
    """Look at files until something is seen there."""
    watching.wait_until(seen, process, place.said, TIMEOUT)


def let_pass(seconds: float) -> None:
    """Time that is too short for sleep to be exact."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def waiting() -> float:
    """How many processes want each core now: how much longer than on a quiet machine things may take."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def finish(place: Place, before: int, score: bool = False) -> None:
    """One more launch, to the end, which goes on from the step it should."""
    with launched(place, score=score) as process:
        assert ends(process) == 0, place.said()
    assert_continued(place, before)


def assert_continued(place: Place, step: int) -> None:
    """The launch that began at this step said so: it did not start anew, which would end the same."""
    assert not step or f"\ncontinuing after step {step}\n" in place.said()


def assert_same_run(run: Path, whole: Path, first_difference: Callable, read_records: Callable) -> None:
    """Checkpoints, log, curves and samples are the same; only the time that it took may differ."""
    newest, expected = (sorted((folder / "checkpoints").iterdir()) for folder in (run, whole))
    assert [path.name for path in newest] == [path.name for path in expected], f"seed {SEED}"
    for pair in zip(newest, expected, strict=True):
        assert first_difference(*pair) is None, f"seed {SEED}"
    assert timeless(read_records(run)) == timeless(read_records(whole)), f"seed {SEED}"
    for sample in (whole / "samples").iterdir():
        assert (run / "samples" / sample.name).read_bytes() == sample.read_bytes()


def timeless(records: Any) -> tuple:
    """Losses and steps of the log, values of all curves but those of speed, steps of the pictures."""
    log = [(line["step"], line["loss"], line["learning_rate"]) for line in records.log]
    curves = {tag: points for tag, points in records.scalars.items() if not tag.startswith(("speed/", "score/"))}
    return log, curves, {tag: [event.step for event in events] for tag, events in records.images.items()}


def moments(identifier: str) -> random.Random:
    """The same ones every time."""
    return random.Random(f"{SEED} {identifier}")
