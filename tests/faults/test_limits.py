"""No room on the disk, none to write to, no memory: exit code 4 and one line; the same command continues to the bit."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cyclegan
from cyclegan.cli import main
from cyclegan.commands import evaluate
from cyclegan.data.stream import Stream
from cyclegan.networks.patchgan import PatchDiscriminator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.training import checkpoint as checkpoints
from cyclegan.training import forecast as plan
from cyclegan.training.checkpoint import list_checkpoints, verify

ROOT = Path(cyclegan.__file__).parents[1]
SMOKE = ROOT / "experiments" / "smoke" / "cyclegan.yaml"
RUN = Path("runs") / "photo2painting" / "smoke"
SETTINGS = ("steps=12", "save_every=3", "log_every=2", "sample_every=12", "device=cpu")
MAKE_ROOM = "make room, and the same command continues"
CONTINUED = "the checkpoint before it whole, continued to the bit"
TIMEOUT = 240  # seconds that nothing here should ever take


def train(*settings: str) -> int:
    return main(["train", str(SMOKE), *(f"--set=training.{each}" for each in (*SETTINGS, *settings))])


def shortened(patch: pytest.MonkeyPatch) -> None:
    """Nothing is rehearsed before a training, nothing is scored after it."""
    patch.setattr(plan, "describe", lambda *given, **more: [])
    patch.setattr(evaluate, "evaluate_run", lambda *given, **more: {})


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shortened(monkeypatch)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The last checkpoint of a training that had all it needs."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shortened(patch)
        assert train() == 0
    return list_checkpoints(folder / RUN / "checkpoints")[-1]


def after(step: int, patch: pytest.MonkeyPatch, event: Callable[[], object]) -> None:
    """Let something happen when so many steps are done."""
    batch_at = Stream.batch_at
    seen: list[int] = []

    def at(batches: Stream, asked: int) -> object:
        if asked == step and step not in seen:
            seen.append(step)
            event()
        return batch_at(batches, asked)

    patch.setattr(Stream, "batch_at", at)


def saved(run: Path) -> list[str]:
    """The checkpoints, all of them whole; nothing half written beside them."""
    found = list_checkpoints(run / "checkpoints")
    for each in found:
        verify(each)
    assert not list((run / "checkpoints").glob("*.partial"))
    return [each.name for each in found]


def last_line(capsys) -> str:
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.splitlines()[-1]


def test_too_little_room_is_noticed_before_the_first_step(place, monkeypatch, capsys, whole, figure):
    size = sum(file.stat().st_size for file in whole.iterdir())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda folder: usage(10**9, 10**9, size))
    assert train() == 4
    said = last_line(capsys)
    needed, free = re.fullmatch(
        rf"error: {RUN}: checkpoints need ([\d.]+) MB and ([\d.]+) MB are free; make room first", said
    ).groups()
    assert float(needed) == pytest.approx(2 * size / 1e6, rel=0.1)
    assert float(free) == pytest.approx(size / 1e6, abs=0.05)
    assert saved(RUN) == []
    figure("D1", f"room for {float(free) / float(needed):.1f} of what is needed: exit 4 before the first step")


@pytest.fixture
def suffer(place, capsys, whole, first_difference) -> Callable[..., str]:
    """Let something happen after step 5 that ends the run, undo it and continue; gives the line that was said of it."""

    def suffer(event: Callable[[], object], undo: Callable[[], object], run: Path = RUN) -> str:
        with pytest.MonkeyPatch.context() as patch:
            after(5, patch, event)
            assert train() == 4
        said = last_line(capsys)
        assert saved(run) == ["step-00000003"]
        undo()
        assert train() == 0
        assert first_difference(whole, RUN / "checkpoints" / whole.name) is None
        return said

    return suffer


def test_a_checkpoint_that_the_disk_refuses(suffer, limit, whole, figure):
    size = (whole / "state.safetensors").stat().st_size
    said = suffer(lambda: limit(size * 9 // 10), lambda: limit(resource.RLIM_INFINITY))
    assert re.match(rf"error: {RUN}/checkpoints/step-00000006: [\d.]+ MB cannot be written \(.*File too large", said)
    figure("D1", f"RLIMIT_FSIZE: exit 4, one line with the path and its MB, {CONTINUED}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_that_the_disk_refuses(suffer, figure):
    log, kept = RUN / "log.jsonl", RUN / "kept.jsonl"
    said = suffer(lambda: (log.rename(kept), log.symlink_to("/dev/full")), lambda: kept.replace(log))
    assert said == f"error: {RUN}: can no longer be written (No space left on device); {MAKE_ROOM}"
    figure("D1", f"/dev/full for the log: exit 4, one line, {CONTINUED}")


def test_a_run_folder_whose_permissions_are_taken_away(suffer, place, figure):
    (place / "probe").mkdir(mode=0o555)
    if os.access(place / "probe", os.W_OK):
        pytest.skip("permissions do not bind this user: root")
    folder = RUN / "checkpoints"
    said = suffer(lambda: folder.chmod(0o555), lambda: folder.chmod(0o755))
    assert re.match(rf"error: {folder}/step-00000006: [\d.]+ MB cannot be written \(.*Permission denied", said)
    figure("D2", f"chmod 555: exit 4, one line, {CONTINUED}")


def test_a_run_folder_that_vanishes(suffer, figure):
    away = Path("elsewhere")
    said = suffer(lambda: RUN.rename(away), lambda: away.rename(RUN), run=away)
    assert said == f"error: {RUN}: can no longer be written (No such file or directory); {MAKE_ROOM}"
    figure("D2", f"renamed: exit 4, one line, {CONTINUED} once it is back")


SCRIPT = """
import resource, shutil, subprocess
from pathlib import Path
import pytest
import test_limits as limits

def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)

patch = pytest.MonkeyPatch()
limits.shortened(patch)
"""
FILLED = """
Path("runs").mkdir()
mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", "runs")
code = limits.train("save_every=1", "keep_checkpoints=20")
print("saved", len(limits.saved(limits.RUN)), flush=True)
mount("-o", "remount,size=64m", "runs")
assert (code, limits.train("save_every=1", "keep_checkpoints=20")) == (4, 0), code
shutil.copytree("runs", "kept")
"""
CLOSED = """
folder = limits.RUN / "checkpoints"

def close():
    mount("--bind", folder, folder)
    mount("-o", "remount,bind,ro", folder)

with patch.context() as closing:
    limits.after(5, closing, close)
    code = limits.train()
subprocess.run(["umount", folder], check=True)
print("saved", len(limits.saved(limits.RUN)), flush=True)
assert (code, limits.train()) == (4, 0), code
shutil.copytree("runs", "kept")
"""


def run(script: str, place: Path, *before: str) -> tuple[int, str]:
    """Run a script in a process of its own: how many checkpoints the fault has left, and the line said of it."""
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "4096",  # every tensor is asked of the system, none comes out of a stock
    }
    command = [*before, sys.executable, "-c", SCRIPT + script]
    done = subprocess.run(command, cwd=place, env=environment, timeout=TIMEOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return int(re.search(r"^saved (\d+)$", done.stdout, re.MULTILINE).group(1)), error


@pytest.fixture(scope="module")
def unshare() -> list[str]:
    """The words before a command that may then mount what nobody else sees."""
    command = [shutil.which("unshare") or "true", "-rm"]
    probe = [*command, "sh", "-c", "mount -t tmpfs tmpfs /mnt && grep -q ' /mnt tmpfs' /proc/mounts"]
    if command[0] == "true" or subprocess.run(probe, capture_output=True, timeout=TIMEOUT).returncode:
        pytest.skip("user namespaces, in which one may mount, are closed here")
    return command


def test_a_disk_that_fills_up(tmp_path, unshare, whole, first_difference, figure):
    left, said = run(FILLED, tmp_path, *unshare)
    assert left > 0
    assert re.match(
        rf"error: {RUN}/checkpoints/step-\d+: [\d.]+ MB cannot be written \(.*No space left on device", said
    )
    assert first_difference(whole, tmp_path / "kept" / RUN.relative_to("runs") / "checkpoints" / whole.name) is None
    figure("D1", f"a tmpfs of 2 MB: full after {left} checkpoints, all whole; exit 4, one line, continued to the bit")


@pytest.mark.slow
def test_a_run_folder_that_can_only_be_read_from_now_on(tmp_path, unshare, whole, first_difference, figure):
    left, said = run(CLOSED, tmp_path, *unshare)
    assert left == 1
    assert re.match(
        rf"error: {RUN}/checkpoints/step-00000006: [\d.]+ MB cannot be written \(.*Read-only file sys", said
    )
    assert first_difference(whole, tmp_path / "kept" / RUN.relative_to("runs") / "checkpoints" / whole.name) is None
    figure("D2", f"a mount that turns read-only: exit 4, one line, {CONTINUED}")


# Memory


GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
MOMENTS = (  # steps done before, what fails and how; of each pair the second meets the checkpoint of the first again
    (4, ResnetGenerator, "forward", GPU),
    (5, PatchDiscriminator, "forward", GPU),
    (7, torch.Tensor, "backward", GPU),
    (8, checkpoints, "save_file", GPU),
    (10, ResnetGenerator, "forward", MemoryError()),
)
REMEDY = (
    "set training.activation_checkpointing to true, with which a run that was begun continues, or begin another "
    "(--set name=...)"
)


@pytest.mark.slow
def test_a_device_without_memory(place, monkeypatch, capsys, whole, first_difference, figure):
    for step, owner, name, error in MOMENTS:

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            after(step, patch, lambda patch=patch, what=(owner, name, fail): patch.setattr(*what))
            assert train() == 4, (step, name)
        assert f"smoke/cyclegan.yaml: a step needs more memory than there is; {REMEDY}" in last_line(capsys)
        found = list_checkpoints(RUN / "checkpoints")
        assert found[-1].name == f"step-{step // 3 * 3:08d}"
        verify(found[-1])
    assert train("accumulate=2") == 2
    assert train("activation_checkpointing=true") == 0
    assert first_difference(whole, RUN / "checkpoints" / whole.name) is None
    names = "forward of G and of D, backward, save"
    figure("M1", f"out of memory {len(MOMENTS)} times ({names}): exit 4, the settings named, continued to the bit")


STARVED = """
def starve():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))

with patch.context() as starving:
    limits.after(5, starving, starve)
    code = limits.train()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("saved", len(limits.saved(limits.RUN)), flush=True)
assert (code, limits.train()) == (4, 0), code
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell how much is in use")
def test_a_process_that_gets_no_more_memory(tmp_path, whole, first_difference, figure):
    left, said = run(STARVED, tmp_path)
    assert left == 1
    assert REMEDY in said
    assert first_difference(whole, tmp_path / RUN / "checkpoints" / whole.name) is None
    figure("M1", f"RLIMIT_AS in mid run: exit 4, the settings named, {CONTINUED}")
