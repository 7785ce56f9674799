"""A checkpoint is whole or not there, killed at every call that its writing makes. (K2)"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import nano
import pytest
import safetensors.torch
from box import Box, checkpoint_of, load, names, save_30, two_saved, weights

from cyclegan.training import checkpoint

CALLS = ("open", "os.mkdir", "os.chmod", "os.fsync", "os.rename", "os.remove", "os.rmdir", "half written")


def kill_before_every_call(template: Path, copies: Path) -> None:
    """In a process of its own: copy by copy, save a checkpoint and die before call 0, 1, … until none is left."""
    os.fsync = announced("os.fsync", os.fsync)
    checkpoint.save_file = save_in_halves
    Path.write_text = write_in_halves
    calls: list[str] = []
    while True:
        folder = copies / str(len(calls))
        shutil.copytree(template, folder)
        if (child := os.fork()) == 0:
            sys.addaudithook(killer(len(calls), copies))
            save_30(folder)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            break
        calls.append((copies / "last").read_text())
    (copies / "calls.json").write_bytes(json.dumps(calls).encode())


def killer(after: int, copies: Path) -> Callable[[str, tuple], None]:
    """Python tells it of every call to the file system, before it is made."""
    left = after
    last = os.open(copies / "last", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def hear(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in CALLS:
            if left == 0:
                os.write(last, f"{event} {Path(str(arguments[0])).name}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    return hear


def announced(name: str, do: Callable) -> Callable:
    """Python tells of no fsync."""

    def announce_and_do(*arguments: Any) -> Any:
        sys.audit(name, *arguments)
        return do(*arguments)

    return announce_and_do


def save_in_halves(tensors: dict, path: Path, metadata: dict) -> None:
    """In place of safetensors, which is no Python and tells nobody how far it is."""
    in_halves(path, safetensors.torch.save(tensors, metadata))


def write_in_halves(path: Path, text: str, encoding: str) -> None:
    in_halves(path, text.encode(encoding))


def in_halves(path: Path, content: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        sys.audit("half written", path)
        file.write(content[len(content) // 2 :])


def damaged(folder: Path) -> Path:
    """With a checkpoint of step 30 already, which is not whole: a run that has passed over it saves that step again."""
    shutil.copytree(folder / "step-00000020", folder / "step-00000030")
    (folder / "step-00000030" / "state.safetensors").write_bytes(b"half of")
    return folder


@pytest.fixture
def is_old_or_new(tmp_path, first_difference) -> Callable[[Path], bool]:
    """Whether a folder's newest whole checkpoint is the new one, to the bit; fails if it is not the old one either."""
    reference = two_saved(tmp_path / "reference")
    expected = {step: shutil.copytree(reference / step, tmp_path / step) for step in names(reference)}
    save_30(reference)
    expected["step-00000030"] = reference / "step-00000030"

    def check(folder: Path) -> bool:
        newest, _ = checkpoint.newest_checkpoint(folder)
        assert newest is not None
        assert newest.name in ("step-00000020", "step-00000030")
        assert first_difference(newest, expected[newest.name]) is None
        is_new = newest.name == "step-00000030"
        assert load(folder)[0] == (3.0 if is_new else 2.0)
        checkpoint_of(folder, Box(weights(4.0))).save(40)
        assert load(folder) == (4.0, [])
        assert len(names(folder)) == 2, "the next save has not tidied up"
        return is_new

    return check


def test_killed_before_any_call_of_a_save_there_is_the_old_checkpoint_or_the_new(tmp_path, is_old_or_new, figure):
    found = []
    for name, prepare in (("new", Path), ("again", damaged)):
        template, copies = prepare(two_saved(tmp_path / name)), tmp_path / f"{name} killed"
        copies.mkdir()
        process = nano.forks().Process(target=kill_before_every_call, args=(template, copies))
        process.start()
        process.join(nano.TIMEOUT)
        process.kill()
        assert process.exitcode == 0
        calls = json.loads((copies / "calls.json").read_text())
        outcomes = [is_old_or_new(copies / str(number)) for number in range(len(calls) + 1)]
        assert outcomes == sorted(outcomes), "the new checkpoint came and went"
        committed = outcomes.index(True)
        assert calls[committed - 1] == "os.rename step-00000030.partial"  # the last call before which the old one is
        assert sum(call.startswith("half written") for call in calls) == 3
        assert sum(call.startswith("os.fsync") for call in calls) == 5
        found += outcomes[:-1]
    figure(
        "K2",
        f"{len(found)} points, {found.count(False)} left the old checkpoint, {found.count(True)} the new, 0 neither",
    )


# strace kills inside PyTorch's and safetensors' own calls, too

SYSTEM_CALLS = (
    "mkdir openat write pwrite64 writev ftruncate lseek fsync chmod fchmod rename unlink unlinkat rmdir close"
)


def save_when_told(folder: Path, told: Connection) -> None:
    told.send("ready")
    told.recv()
    save_30(folder)
    os._exit(0)


def save_under_strace(folder: Path, fault: str) -> int | None:
    """Save in another process, with strace at it; its exit code."""
    tell, told = nano.forks().Pipe()
    process = nano.forks().Process(target=save_when_told, args=(folder, told))
    process.start()
    assert tell.poll(nano.TIMEOUT)
    command = ["strace", "-p", str(process.pid), "-o", os.devnull, "-e", f"inject={fault}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            said = strace.stderr.readline()
            if "attached" not in said:
                pytest.skip(f"strace may not look at another process here: {said.strip()}")
            tell.send("save")
            process.join(nano.TIMEOUT)
        finally:
            process.kill()
            process.join(nano.TIMEOUT)
            strace.kill()
            tell.close()
            told.close()
    return process.exitcode


@pytest.mark.timeout(1200)
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_killed_in_any_system_call_of_a_save_there_is_the_old_checkpoint_or_the_new(
    tmp_path, is_old_or_new, size, figure
):
    template, outcomes = two_saved(tmp_path / "template"), []
    for call in size("fsync rename", SYSTEM_CALLS).split():
        for number in range(1, 1000):
            folder = shutil.copytree(template, tmp_path / f"{call} {number}")
            if save_under_strace(folder, f"{call}:signal=KILL:when={number}") != -signal.SIGKILL:
                break
            outcomes.append(is_old_or_new(folder))
    assert {True, False} == set(outcomes)
    figure(
        "K2",
        f"{len(outcomes)} system calls, {outcomes.count(False)} left the old one, {outcomes.count(True)} the new",
    )
