"""F2: released files and checkpoints made to harm whoever loads them are refused in one line; memory stays small."""

import json
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from mutants import lines, watched
from PIL import Image
from safetensors.torch import save_file

from cyclegan.cli import main
from cyclegan.training.checkpoint import Checkpoint, CorruptCheckpointError, fingerprint, read_release, write_release
from cyclegan.training.checkpoint import read_tensors as read_state
from cyclegan.training.progress import Progress

HUGE = 2**40


class Harmful:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def with_header(header: object, data: bytes = bytes(16)) -> Callable[[Path, Path], object]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda good, path: path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def a_tensor(shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def described(**changes: object) -> Callable[[Path, Path], object]:
    """The good one with another description, its SHA-256 correct."""

    def write(good: Path, path: Path) -> None:
        tensors, about = read_release(good)
        write_release(path, tensors, {**about, **changes})

    return write


def holding(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path, Path], object]:
    """The good one with other weights, written by whoever cares for no rule."""

    def write(good: Path, path: Path) -> None:
        tensors, metadata = read_state(good)
        del metadata["about"]["sha256"]
        save_file(change(tensors), path, metadata={"about": json.dumps(metadata["about"])})

    return write


def poisoned(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    return tensors


ALIASES = "a: &a [x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefg"))
RELEASES: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda good, path: torch.save({"a": Harmful(path.with_name("marker"))}, path),
    "a header of 2^40 bytes": lambda good, path: path.write_bytes(struct.pack("<Q", HUGE) + bytes(100)),
    "a header of 99 MB, of spaces": with_header(b"{" + b" " * 99_000_000 + b"}"),
    "a shape of 2^40": with_header({"a": a_tensor([HUGE], 0, 16)}),
    "a shape whose product overflows": with_header({"a": a_tensor([2**32, 2**32, 2], 0, 16)}),
    "a negative shape": with_header({"a": a_tensor([-4], 0, 16)}),
    "two tensors in one place": with_header({"a": a_tensor([4], 0, 16), "b": a_tensor([4], 0, 16)}),
    "offsets beyond the file": with_header({"a": a_tensor([8], 0, 32)}),
    "a tensor given twice": with_header(b'{"a":%b,"a":%b}' % ((json.dumps(a_tensor([4], 0, 16)).encode(),) * 2)),
    "a hundred thousand lists": with_header({"__metadata__": {"about": "[" * 100_000}}, b""),
    "NaN": holding(poisoned),
    "wrong keys": holding(lambda tensors: {f"H{name[1:]}": tensor for name, tensor in tensors.items()}),
    "wrong types": holding(lambda tensors: {name: tensor.to(torch.int8) for name, tensor in tensors.items()}),
    "float64": holding(lambda tensors: {name: tensor.double() for name, tensor in tensors.items()}),
    "complex weights": holding(lambda tensors: {name: tensor.to(torch.complex64) for name, tensor in tensors.items()}),
    "other shapes": holding(lambda tensors: {name: tensor[None] for name, tensor in tensors.items()}),
    "another architecture": described(method="name: cyclegan\ngenerator: {base_channels: 3, blocks: 2}"),
    "a billion blocks": described(method="name: cyclegan\ngenerator: {blocks: 1000000000}"),
    "a billion channels": described(method="name: cyclegan\ngenerator: {base_channels: 1000000000}"),
    "a billion layers": described(method="name: cyclegan\ndiscriminator: {layers: 1000000000}"),
    "aliases of aliases": described(method=ALIASES),
    "an object of Python": described(method="!!python/object/apply:os.system ['touch marker']"),
    "no settings but a number": described(method=5),
    "a step that is none": described(step="\x1b[2J"),
    "a format that is text": described(format="1"),
    "a side without a name": described(y=None),
}


@pytest.fixture
def translate(tmp_path, capsys) -> Callable[[Path], tuple[int, list[str]]]:
    """`cyclegan translate` of a small picture: the exit code and what was said."""
    Image.fromarray(np.full((8, 8, 3), 99, dtype=np.uint8)).save(tmp_path / "small.png")

    def run(path: Path) -> tuple[int, list[str]]:
        code = main(["translate", str(path), str(tmp_path / "small.png"), "--out", str(tmp_path / "out")])
        return code, lines(capsys.readouterr().err)

    return run


def test_hostile_releases_and_checkpoints_are_refused_and_do_nothing(save_run, translate, tmp_path, figure):
    checkpoint = save_run(tmp_path / "run") / "checkpoints" / "step-00000020"
    good = checkpoint / "release.safetensors"
    assert translate(good) == (0, [])  # which imports whatever it needs
    with watched() as watch:
        for name, write in RELEASES.items():
            path = tmp_path / f"{name}.safetensors"
            write(good, path)
            with watch.on(name):
                code, said = translate(path)
            assert (code, len(said)) == (2, 1), (name, said)
            assert said[0].startswith(f"error: {path}"), said
            assert said[0].isprintable()
            assert len(said[0]) < 1000
            path.unlink()
    assert not (tmp_path / "marker").exists()
    assert not Path("marker").exists()
    figure("F2", f"{len(RELEASES)} hostile released files: 0 executed, 0 loaded; {watch}")
    assert watch.slowest < 2, watch.slowest_name
    assert watch.peak < 300


STATES: dict[str, Callable[[dict, dict], tuple[dict, object]]] = {
    "no tree": lambda tensors, tree: (tensors, None),
    "an empty tree": lambda tensors, tree: (tensors, {}),
    "a tree of another run": lambda tensors, tree: (tensors, {"pairs": [["progress", {"pairs": []}]]}),
    "a tree that names what is not there": lambda tensors, tree: ({}, tree),
    "deep": lambda tensors, tree: (tensors, _deep(400)),
    "other shapes": lambda tensors, tree: ({name: tensor[None] for name, tensor in tensors.items()}, tree),
    "a list of pairs that are none": lambda tensors, tree: (tensors, {"pairs": [1, 2]}),
}


def _deep(levels: int) -> dict:
    tree: dict = {"value": 1}
    for _ in range(levels):
        tree = {"list": [tree]}
    return tree


@pytest.mark.parametrize("name", STATES)
def test_a_checkpoint_that_is_whole_but_of_something_else_is_refused(save_run, method, tmp_path, name):
    folder = save_run(tmp_path / "run") / "checkpoints"
    newest = folder / "step-00000020"
    tensors, metadata = read_state(newest / "state.safetensors")
    tensors, tree = STATES[name](tensors, metadata["tree"])
    save_file(tensors, newest / "state.safetensors", metadata={"tree": json.dumps(tree)})
    manifest = {name: fingerprint(newest / name) for name in ("state.safetensors", "release.safetensors")}
    (newest / "manifest.json").write_text(json.dumps(manifest))
    checkpoint = Checkpoint(folder, 2, {}, {}, method=method, progress=Progress())
    with pytest.raises(
        CorruptCheckpointError, match=r"state\.safetensors: is whole but no state of this run"
    ) as caught:
        checkpoint.load_latest()
    assert str(caught.value).isprintable()
