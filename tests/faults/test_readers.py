"""Readers that raise, and readers that never come back: what was trained is saved, and the process ends."""

import gc
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from building import held_out, unpaired_stream
from PIL import Image
from toy import launch

import cyclegan
from cyclegan.data import cached_images as folder
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.stream import Readers
from cyclegan.errors import UnresponsiveError
from cyclegan.images.rgb8 import BadPictureError
from cyclegan.training.checkpoint import list_checkpoints

MOMENTS = (0, 1, 4, 7, 11)  # steps done before: none, one, all saved, some saved, all but the last
READING = UnpairedConfig(
    x=Path("x"), y=Path("y"), load_size=None, crop_size=8, batch_size=2, workers=1, cache_mb=0, timeout=3.0
)
TIMEOUT = 120  # seconds that nothing here should ever take
STUCK = """
import os, sys
from cyclegan.cli import main
from cyclegan.data import cached_images as folder

read, count = folder.read_picture, 0

def read_one_from_a_pipe(path):
    global count
    count += 1
    return read(path) if count < 60 else open("silent", "rb").read()

folder.read_picture = read_one_from_a_pipe
os.mkfifo("silent")
code = main(["train", sys.argv[1], *(f"--set=data.{each}" for each in ("timeout=3", "cache_mb=0", "workers=2"))])
print("main has returned", flush=True)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[list[Path]]:
    sides = []
    for side, count in (("x", 7), ("y", 5)):
        root = tmp_path_factory.mktemp(side)
        for i in range(count):
            Image.new("RGB", (9, 10), (30 * i, 20, 255 - 30 * i)).save(root / f"{i}.png")
        sides.append(sorted(root.iterdir()))
    return sides


@pytest.fixture(scope="module")
def start(pictures) -> Callable[[Path], None]:
    """One launch of the toy on pictures."""
    held = held_out(*pictures, READING, count=2)
    return lambda run: launch(run, unpaired_stream(*pictures, READING, seed=0), held_out=held)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start) -> Path:
    run = tmp_path_factory.mktemp("whole")
    start(run)
    return newest(run)


def newest(run: Path) -> Path:
    return list_checkpoints(run / "checkpoints")[-1]


@pytest.fixture
def awake() -> Iterator[threading.Event]:
    """What a reader that hangs waits for; it is left alone no longer than the test lasts."""
    event = threading.Event()
    yield event
    event.set()


def at_step(step: int, pictures: list[list[Path]], happen: Callable[[], object]) -> tuple[Path, Callable[..., object]]:
    """The first picture of a step, and a function that reads pictures and comes to grief when it gets there."""
    batches = unpaired_stream(*pictures, READING, seed=0)
    named = [path for each in range(step + 1) for side in batches.names_at(each).values() for path in side]
    fatal = batches.names_at(step)["x"][0]
    times = named.count(fatal) - batches.names_at(step)["x"][1:].count(fatal)
    read, count = folder.read_picture, Counter()

    def read_or_not(path: Path) -> object:
        count[str(path)] += 1
        if str(path) == fatal and count[fatal] == times:
            happen()
        return read(path)

    return Path(fatal), read_or_not


def lost(path: str) -> None:
    raise BadPictureError(f"{path}: not a readable picture (Input/output error)")


@pytest.mark.parametrize("way", ["raises", "hangs"])
def test_what_was_trained_is_saved_when_a_reader(
    tmp_path, pictures, start, whole, awake, first_difference, figure, way
):
    kind, code = {"raises": (BadPictureError, 2), "hangs": (UnresponsiveError, 4)}[way]
    saved = continued = 0
    for step in MOMENTS:
        happen = awake.wait if way == "hangs" else partial(lost, "a drive")
        path, read = at_step(step, pictures, happen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(folder, "read_picture", read)
            with pytest.raises(kind) as caught:
                start(tmp_path / str(step))
        assert caught.value.exit_code == code
        assert way == "raises" or re.match(
            rf"{path} or \S+: not read after 3 s; when its drive answers", str(caught.value)
        )
        names = [checkpoint.name for checkpoint in list_checkpoints(tmp_path / str(step) / "checkpoints")]
        assert names[-1:] == [f"step-{step:08d}"] * bool(step)
        saved += 1
        start(tmp_path / str(step))
        assert first_difference(whole, newest(tmp_path / str(step))) is None, f"from step {step}"
        continued += 1
    assert (saved, continued) == (len(MOMENTS), len(MOMENTS))
    figure(
        "W1", f"a reader {way} at {len(MOMENTS)} moments: exit {code}, 0 steps lost, {continued} continued to the bit"
    )


def test_readers_that_end_in_the_middle_of_a_step_draw_nothing():
    readers = Readers(2)
    before = random.getstate()
    del readers
    gc.collect()  # it comes when it comes, in whatever thread
    assert random.getstate() == before


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes that are files")
def test_a_process_ends_although_one_of_its_threads_never_will(tmp_path, figure):
    root = Path(cyclegan.__file__).parents[1]
    smoke = root / "experiments" / "smoke" / "cyclegan.yaml"
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STUCK, str(smoke)]
    options = dict(cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with subprocess.Popen(command, **options) as process:
        try:
            for line in process.stdout:
                if line == "main has returned\n":
                    break
            begun = time.monotonic()
            _, said = process.communicate(timeout=TIMEOUT)
            seconds = time.monotonic() - begun
        finally:
            process.kill()
    assert process.returncode == 4, said
    assert "not read after 3 s" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert list_checkpoints(tmp_path / "runs" / "photo2painting" / "smoke" / "checkpoints")
    figure("W1", f"a reader that waits for a silent pipe: the process ends {seconds:.1f} s after the line, with exit 4")
