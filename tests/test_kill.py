"""`cyclegan train`, killed at random moments and typed again, ends where it would have ended anyway.

The launches are forked from a server that has imported PyTorch already, which saves seconds for each; only the
reference goes the whole way of a user, through a process of its own.
"""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan import cli
from cyclegan.training.checkpoint import list_checkpoints, verify

SEED = 20
TIMEOUT = 120  # seconds that nothing here should ever take
STEPS, SAVE_EVERY = 60, 5
IMPORTED = ("cyclegan.cli", "cyclegan.methods.cyclegan", "cyclegan.data.unpaired", "cyclegan.training.loop")
RUN = Path("runs") / "summer2winter" / "nano"
CONFIG = f"""
name: nano
method:
  name: cyclegan
  generator: {{base_channels: 4, blocks: 1}}
  discriminator: {{base_channels: 4, layers: 2}}
  buffer_size: 8
data: {{x: summer, y: winter, load_size: null, crop_size: 32, batch_size: 2}}
training: {{steps: {STEPS}, log_every: 2, sample_every: 20, save_every: {SAVE_EVERY}, device: cpu}}
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Starts processes that have all that they import already, on one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            [
                "__main__",
                "pytest",
                "cyclegan.cli",
                "cyclegan.methods.cyclegan",
                "cyclegan.data.unpaired",
                "cyclegan.training.loop",
            ]
        )
        yield context


def command_line(folder: Path) -> None:
    """What `cyclegan train nano.yaml`, typed in a folder, does; its words go to output.txt."""
    os.chdir(folder)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.exit(cli.main(["train", "nano.yaml"]))


@pytest.fixture
def place(tmp_path_factory) -> Path:
    """A folder with settings and pictures in it."""
    return set_up(tmp_path_factory.mktemp("place"))


def set_up(place: Path) -> Path:
    (place / "nano.yaml").write_text(CONFIG)
    random = np.random.default_rng(0)
    for side in ("summer", "winter"):
        (place / side).mkdir()
        for i in range(12):
            pixels = random.integers(256, size=(5, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(place / side / f"{i}.png")
    return place


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run folder of a training that nobody interrupted."""
    place = set_up(tmp_path_factory.mktemp("whole"))
    command = [sys.executable, "-m", "cyclegan", "train", "nano.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=place, env=environment, timeout=TIMEOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place / RUN


@contextmanager
def launched(forks, place: Path) -> Iterator[BaseProcess]:
    """`cyclegan train`, typed in this folder; it does not outlive this context."""
    process = forks.Process(target=command_line, args=(place,), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(TIMEOUT)


def ends(process: BaseProcess) -> int | None:
    """Wait for the end; the exit code, below 0 for a signal."""
    process.join(TIMEOUT)
    return process.exitcode


def wait_until(seen: Callable[[], bool], process: BaseProcess, place: Path) -> None:
    """Look at files until something is seen there."""
    deadline = time.monotonic() + TIMEOUT
    while not seen():
        said = (place / "output.txt").read_text() if (place / "output.txt").exists() else ""
        assert process.is_alive(), f"ended too early, having said\n{said}"
        assert time.monotonic() < deadline, f"waited in vain, and read\n{said}"
        time.sleep(0.0005)


def steps_saved(place: Path) -> int:
    committed = list_checkpoints(place / RUN / "checkpoints")
    return int(committed[-1].name.removeprefix("step-")) if committed else 0


def partials(place: Path) -> list[Path]:
    return list((place / RUN / "checkpoints").glob("*.partial"))


def let_pass(seconds: float) -> None:
    """Time that is too short for sleep to be exact."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def anywhere(process: BaseProcess, place: Path, moments: random.Random) -> None:
    """Let it save once more, and then go on for up to four steps."""
    before = steps_saved(place)
    wait_until(lambda: steps_saved(place) > before, process, place)
    let_pass(moments.uniform(0, 0.06))


def while_it_saves(process: BaseProcess, place: Path, moments: random.Random) -> None:
    """Let it tidy up what an earlier kill has left, begin to write a checkpoint, and go on for up to 5 ms."""
    wait_until(lambda: not partials(place), process, place)
    wait_until(lambda: bool(partials(place)), process, place)
    let_pass(moments.uniform(0, 0.005))


def test_killed_five_times_it_ends_as_if_nothing_had_happened(forks, place, whole, first_difference, read_records):
    moments = random.Random(SEED)
    torn = 0
    for moment in (anywhere, while_it_saves, while_it_saves, anywhere, while_it_saves):
        before = steps_saved(place)
        with launched(forks, place) as process:
            moment(process, place, moments)
            process.kill()
            assert ends(process) == -signal.SIGKILL
        assert steps_saved(place) >= before
        assert_continued(place, before)
        for checkpoint in list_checkpoints(place / RUN / "checkpoints"):
            verify(checkpoint)
        torn += bool(partials(place))
    assert torn, "no kill struck a checkpoint half written"

    before = steps_saved(place)
    with launched(forks, place) as process:
        assert ends(process) == 0, (place / "output.txt").read_text()
    assert_continued(place, before)
    assert_same_run(place / RUN, whole, first_difference, read_records)


def test_asked_to_stop_it_saves_and_says_so_and_continues(forks, place, whole, first_difference, read_records):
    moments = random.Random(SEED)
    for number, exit_code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with launched(forks, place) as process:
            anywhere(process, place, moments)
            before = steps_saved(place)
            os.kill(process.pid, number)
            assert ends(process) == exit_code
        assert before < steps_saved(place) < STEPS
        assert (place / "output.txt").read_text().endswith("stopped and saved; the same command continues\n")
        assert not partials(place)

    with launched(forks, place) as process:
        anywhere(process, place, moments)
        for number in (signal.SIGINT, signal.SIGTERM):  # obeyed at once, unless the step was done before
            os.kill(process.pid, number)
        assert ends(process) in (-signal.SIGTERM, 130)
    before = steps_saved(place)
    with launched(forks, place) as process:
        assert ends(process) == 0, (place / "output.txt").read_text()
    assert_continued(place, before)
    assert_same_run(place / RUN, whole, first_difference, read_records)


def assert_continued(place: Path, step: int) -> None:
    """The launch that began at this step said so: it did not start anew, which would end the same."""
    assert not step or f"\ncontinuing after step {step}\n" in (place / "output.txt").read_text()


def assert_same_run(run: Path, whole: Path, first_difference, read_records) -> None:
    """Checkpoints, log, curves and samples are the same; only the time that it took may differ."""
    newest, expected = (sorted((folder / "checkpoints").iterdir()) for folder in (run, whole))
    assert [path.name for path in newest] == [path.name for path in expected]
    assert [first_difference(*pair) for pair in zip(newest, expected, strict=True)] == [None, None]
    assert timeless(read_records(run)) == timeless(read_records(whole))
    for sample in (whole / "samples").iterdir():
        assert (run / "samples" / sample.name).read_bytes() == sample.read_bytes()


def timeless(records) -> tuple:
    """Losses and steps of the log, values of all curves but those of speed, steps of the pictures."""
    log = [(line["step"], line["loss"], line["learning_rate"]) for line in records.log]
    curves = {tag: points for tag, points in records.scalars.items() if not tag.startswith(("speed/", "score/"))}
    return log, curves, {tag: [event.step for event in events] for tag, events in records.images.items()}
