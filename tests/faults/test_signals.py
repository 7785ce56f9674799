"""Asked to stop, by one signal or two: saved and gone, or gone at once; and it continues to the bit. (S1, S2, S3)"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nano
import pytest
import watching
from nano import TIMEOUT, Place, ends, launched, let_pass, wait_until

from cyclegan.training.checkpoint import verify

LEAVING = 1.0  # seconds, on a quiet machine, for a process to end that has saved
AT_ONCE = 0.5


@pytest.fixture(scope="module")
def steps(size) -> int:
    return size(60, 160)


@pytest.fixture(scope="module")
def whole(steps, tmp_path_factory) -> Path:
    place = nano.set_up(tmp_path_factory.mktemp("whole"), steps)
    nano.finish(place, 0)
    return place.run


@pytest.fixture
def place(steps, tmp_path) -> Place:
    return nano.set_up(tmp_path, steps)


def session(number: int) -> list[int]:
    """The processes that one has started, whoever their parents are now."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == number and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_asked_to_stop_at_any_moment_it_finishes_the_step_saves_and_leaves(
    place, whole, size, first_difference, read_records, figure
):
    moments, asked, slowest, patience = nano.moments("S1"), size(6, 20), 0.0, 0.0
    for i in range(asked):
        before = place.steps_saved()
        number, exit_code = ((signal.SIGTERM, 143), (signal.SIGINT, 130))[i % 3 == 2]
        while_it = ("step", "look", "save", "read")[i % 4]  # trains, paints samples, saves, waits for data
        with launched(place) as process:
            wait_until(lambda: place.count("step") > 0 and place.count(while_it) > 0, process, place)  # noqa: B023
            let_pass(moments.uniform(0, 0.01))
            os.kill(process.pid, number)
            asked_at = time.monotonic()
            assert ends(process) == exit_code, f"{while_it}, seed {nano.SEED}: {place.said()}"
            took = time.monotonic() - asked_at
            assert session(process.pid) == []
        nano.assert_continued(place, before)
        assert place.said().endswith("stopped and saved; the same command continues\n")
        assert place.partials() == []
        begun = [event for event in place.events() if event.what == "step" and event.at > asked_at]
        assert len(begun) <= 1, "it went on with its work"
        assert place.steps_saved() == before + place.count("step done")
        verify(place.checkpoints()[-1])
        at_most = place.longest("step") + place.longest("look") + 2 * place.longest("save") + LEAVING * nano.waiting()
        assert took < at_most, f"{while_it}, seed {nano.SEED}"
        slowest, patience = max((slowest, patience), (took, at_most))
    nano.finish(place, place.steps_saved())
    nano.assert_same_run(place.run, whole, first_difference, read_records)
    figure(
        "S1", f"{asked} signals, {asked} saved and gone, at most {slowest:.2f} s after (of {patience:.2f}), 0 orphans"
    )


TERM, INT = signal.SIGTERM, signal.SIGINT
PAIRS = [
    (("step", 4), (TERM, TERM)),
    (("step", 8), (INT, INT)),
    (("flush", 12), (TERM, INT)),
    (("flush", 10), (INT, TERM)),
]


@pytest.mark.skipif(sys.platform != "linux", reason="hangs in a lock of glibc")
def test_a_second_signal_is_obeyed_at_once_even_while_pytorch_computes(
    place, whole, first_difference, read_records, figure
):
    slowest = 0.0
    for hang, (first, second) in PAIRS:  # in a step, in a save; it would hang for ever, in a function of C
        before = place.steps_saved()
        with launched(place, hang) as process:
            wait_until(lambda: place.count("hang") > 0, process, place)
            os.kill(process.pid, first)
            let_pass(0.01)
            assert process.is_alive()
            os.kill(process.pid, second)
            asked_at = time.monotonic()
            process.join(10 * AT_ONCE * nano.waiting())
            took = time.monotonic() - asked_at
            assert process.exitcode in (-second, 128 + second), f"{first.name}, then {second.name} in a {hang[0]}"
        assert took < AT_ONCE * nano.waiting()
        nano.assert_continued(place, before)
        for checkpoint in place.checkpoints():
            verify(checkpoint)
        slowest = max(slowest, took)
    assert place.partials(), "none was in the middle of a save"
    nano.finish(place, place.steps_saved())
    nano.assert_same_run(place.run, whole, first_difference, read_records)
    figure(
        "S2",
        f"{len(PAIRS)} pairs 10 ms apart: gone {slowest * 1000:.0f} ms after the second at most, 0 checkpoints lost",
    )


@pytest.mark.slow
def test_torchrun_asked_to_stop_ends_all_its_processes_with_one_checkpoint(place, figure):
    root = str(Path(nano.cli.__file__).parents[1])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "cyclegan", "train", "nano.yaml", "--set", "training.steps=100000"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    ranks: list[int] = []
    with (place.folder / "output.txt").open("w") as said:
        process = subprocess.Popen(command, cwd=place.folder, env=environment, stdout=said, stderr=said)
        try:
            watching.wait_until(lambda: place.steps_saved() >= 10, process, place.said, TIMEOUT, between=0.01)
            ranks = children(process.pid)
            process.terminate()
            asked_at = time.monotonic()
            exit_code = process.wait(TIMEOUT)
            took = time.monotonic() - asked_at
        finally:
            process.kill()
            process.wait(TIMEOUT)
            left = [number for rank in ranks for number in session(rank)]  # torchrun gives each a session of its own
            for number in left:
                os.kill(number, signal.SIGKILL)
    assert exit_code != 0
    assert (len(ranks), left) == (2, [])
    assert took < 5 * nano.waiting()
    assert place.said().count("stopped and saved; the same command continues") == 2
    assert place.partials() == []
    verify(place.checkpoints()[-1])
    figure("S3", f"2 processes gone {took:.1f} s after, 1 checkpoint, of step {place.steps_saved()}")


def children(number: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]
