"""F1: a mutated checkpoint is refused in one line, or passed over for the older one; none loads as something else."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from building import build
from mutants import draws, lines, mutate, named, watched
from PIL import Image

from cyclegan.cli import main
from cyclegan.config import parse
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.training.checkpoint import Checkpoint, CorruptCheckpointError, read_release
from cyclegan.training.ema import EMA
from cyclegan.training.progress import Progress

FILES = ("state.safetensors", "release.safetensors", "manifest.json")
OLDER, NEWER = "step-00000010", "step-00000020"


def edit(manifest: Path, draw: random.Random) -> None:
    """Another manifest, that is JSON still."""
    told = json.loads(manifest.read_text())
    name = draw.choice(FILES[:2])
    sha256, size = told[name]["sha256"], told[name]["bytes"]
    edits = [
        lambda: told[name].update(sha256=sha256[:-1] + ("0" if sha256[-1] != "0" else "1")),
        lambda: told[name].update(bytes=draw.choice([size + 1, 0, -1, 2**64, str(size), None])),
        lambda: told[name].clear(),
        lambda: told.pop(name),
        lambda: told.update({"../../../etc/passwd": {"bytes": 1, "sha256": sha256}}),
        lambda: told.update(zip(FILES[:2], [told[FILES[1]], told[FILES[0]]], strict=True)),
        lambda: told.update({name: draw.choice([None, [], "x", 5])}),
    ]
    draw.choice(edits)()
    manifest.write_text(json.dumps(told))


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_name("third"))
    other.rename(one)
    one.with_name("third").rename(other)


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


WHOLE_FILES: dict[str, Callable[[Path, random.Random], None]] = {
    "missing": lambda path, draw: path.unlink(),
    "a folder": lambda path, draw: put_folder(path),
    "a link to itself": lambda path, draw: put_loop(path),
    "a pipe": lambda path, draw: put_pipe(path),
    "an endless device": lambda path, draw: put_device(path),
    "swapped with its neighbour": lambda path, draw: swap(
        path, path.with_name(draw.choice([n for n in FILES if n != path.name]))
    ),
    "swapped with that of the other checkpoint": lambda path, draw: swap(
        path, path.parents[1] / (OLDER if path.parent.name == NEWER else NEWER) / path.name
    ),
    "edited": lambda path, draw: edit(path.with_name("manifest.json"), draw),
}


def spoil(path: Path, number: int) -> str:
    """Puts a mutant in the place of a file, and says how it was made."""
    draw = draws(number)
    if draw.random() < 0.4:
        way = draw.choice(list(WHOLE_FILES))
        WHOLE_FILES[way](path, draw)
    else:
        way, content = mutate(path.read_bytes(), number)
        path.write_bytes(content)
    return f"{path.parent.name}/{path.name}: {way}"


class MemoryBudget:
    """A run of a tiny CycleGAN to be copied and spoiled, and what each of its two checkpoints is."""

    def __init__(self, run: Path, capsys: pytest.CaptureFixture, is_same: Callable) -> None:
        self.run, self.capsys, self.is_same = run, capsys, is_same
        self.picture = run.parent / "noise.png"
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.picture)
        self.config = build_config(run)
        whole = {step: run / "checkpoints" / name for step, name in ((10, OLDER), (20, NEWER))}
        self.painted = {step: self.translate(path)[1] for step, path in whole.items()}
        self.states = {step: self.resume(path.parent, only=path) for step, path in whole.items()}
        self.releases = {step: read_release(path / FILES[1]) for step, path in whole.items()}
        assert not np.array_equal(*self.painted.values())

    def translate(self, path: Path) -> tuple[int, np.ndarray | None, list[str]]:
        """Exit code, picture and what was said by `cyclegan translate`."""
        out = self.run.parent / "out"
        shutil.rmtree(out, ignore_errors=True)
        code = main(["translate", str(path), str(self.picture), "--out", str(out)])
        said = lines(self.capsys.readouterr().err)
        return code, np.asarray(Image.open(out / "noise.png")) if code == 0 else None, said

    def resume(self, checkpoints: Path, only: Path | None = None) -> dict | CorruptCheckpointError:
        """What training would continue with, or why it would not."""
        method = build(self.config)
        ema, progress = EMA(method.networks(), 0.999), Progress()
        checkpoint = Checkpoint(checkpoints, 2, ema.average, {}, method=method, ema=ema, progress=progress)
        if only:
            checkpoint._restore(only)
            return {name: part.state_dict() for name, part in checkpoint.parts.items()}
        try:
            damages = checkpoint.load_latest()
        except CorruptCheckpointError as error:
            return error
        assert len(damages) == (progress.step == 10)
        return {name: part.state_dict() for name, part in checkpoint.parts.items()}

    def judge_run(self, place: Path) -> str:
        """How a spoiled run is read, by translation and by training alike; nothing else may come of it."""
        code, painted, said = self.translate(place)
        state = self.resume(place / "checkpoints")
        if code == 2:
            assert len(said) == 1
            assert said[0].startswith("error: ")
            assert isinstance(state, CorruptCheckpointError)
            assert str(state).isprintable()
            return "refused"
        assert code == 0
        step = 20 if not said else 10
        assert len(said) == (step == 10)
        assert all(line.startswith("skipped: ") and NEWER in line for line in said)
        assert np.array_equal(painted, self.painted[step])
        assert self.is_same(state, self.states[step])
        return "passed over" if step == 10 else "untouched"

    def judge_release(self, file: Path) -> str:
        """How a spoiled released file, handed on alone, is read."""
        code, painted, said = self.translate(file)
        if code == 2:
            assert len(said) == 1
            assert said[0].startswith(f"error: {file}: ")
            return "refused"
        tensors, about = read_release(file)
        saved, said_of_it = self.releases[20]
        assert self.is_same(dict(tensors), dict(saved))  # all that was damaged is the name of the sha256
        assert about.items() >= said_of_it.items()
        assert np.array_equal(painted, self.painted[20])
        return "equal"


def build_config(run: Path) -> MethodConfig:
    return parse(read_release(run / "checkpoints" / NEWER / FILES[1])[1]["method"], METHODS, "method")


@pytest.fixture
def room(save_run, tmp_path, capsys, is_same) -> MemoryBudget:
    torch.manual_seed(0)
    return MemoryBudget(save_run(tmp_path / "run"), capsys, is_same)


@pytest.mark.slow
def test_no_mutated_checkpoint_is_loaded_as_something_else(room, tmp_path, size, figure):
    count, outcomes = size(120, 600), Counter()
    with watched() as watch:
        for number in range(count):
            draw = draws(number)
            place = tmp_path / f"mutant-{number}"
            shutil.copytree(room.run, place)
            alone = number % 4 == 0
            both = not alone and draw.random() < 0.2
            steps = (NEWER, OLDER) if both else (draw.choice([*[NEWER] * 7, OLDER]),)
            names = FILES[1:2] if alone else FILES
            targets = [place / "checkpoints" / step / draw.choice(names) for step in steps]
            if alone:
                targets = [Path(shutil.copy(place / "checkpoints" / NEWER / FILES[1], place / "alone.safetensors"))]
                way, content = mutate(targets[0].read_bytes(), number)
                targets[0].write_bytes(content)
                what = f"a release alone: {way}"
            else:
                what = "; ".join(spoil(target, 1000 * i + number) for i, target in enumerate(targets))
            with watch.on(what):
                try:
                    outcomes[room.judge_release(targets[0]) if alone else room.judge_run(place)] += 1
                except BaseException as error:
                    raise AssertionError(f"{named(number, what)}: {type(error).__name__}: {error}") from error
            shutil.rmtree(place)
    said = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in sorted(outcomes))
    figure("F1", f"{count} mutated checkpoints: 0 silent wrong loads, 0 tracebacks ({said}); {watch}")
    assert watch.slowest < 2, watch.slowest_name
    assert watch.peak < 500
