"""Checkpoints that are not what was written: every damage is noticed, named and passed over."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from box import FILES, Box, checkpoint_of, load, names, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.training.checkpoint import CorruptCheckpointError, list_checkpoints, newest_checkpoint, verify


def flip(path: Path, position: float, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "first bit flipped": lambda path: flip(path, 0),
    "bit flipped in the header": lambda path: flip(path, 0.002),
    "bit flipped in the middle": lambda path: flip(path, 0.5, bit=3),
    "last bit flipped": lambda path: flip(path, 1, bit=7),
    "last byte missing": lambda path: os.truncate(path, path.stat().st_size - 1),
    "half missing": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "zeros in the middle": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 4] + bytes(path.stat().st_size // 2)
    ),
    "longer": lambda path: path.write_bytes(path.read_bytes() * 2),
    "missing": lambda path: path.unlink(),
    "a folder": replace_by_folder,
    "a link to itself": replace_by_loop,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_named_and_passed_over(folder, damage, name):
    damage(folder / "step-00000020" / name)
    value, damages = load(folder)
    assert value == 1.0
    (told,) = damages
    assert str(folder / "step-00000020") in str(told)
    assert "remove this checkpoint" in str(told)
    assert "\n" not in str(told)


def with_entry(name: str, **changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: manifest | {name: manifest.get(name, {}) | changes}


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another hash": with_entry("state.safetensors", sha256="0" * 64),
    "another size": with_entry("release.safetensors", bytes=1),
    "the size as text": lambda m: m | {"state.safetensors": {**m["state.safetensors"], "bytes": "80"}},
    "a file less": lambda m: {"state.safetensors": m["state.safetensors"]},
    "a file more": with_entry("../../etc/passwd", bytes=1, sha256="0" * 64),
    "no hash": lambda m: m | {"state.safetensors": None},
    "swapped": lambda m: dict(zip(m, reversed(m.values()), strict=True)),
    "empty": lambda m: {},
    "a list": lambda m: list(m),
    "a number": lambda m: 1,
    "null": lambda m: None,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_manifest_is_damage(folder, edit):
    manifest = folder / "step-00000020" / "manifest.json"
    manifest.write_text(json.dumps(edit(json.loads(manifest.read_text()))))
    value, damages = load(folder)
    assert (value, len(damages)) == (1.0, 1)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"a": 1}{', "\xff", "NaN", '"' + "x" * 10_000 + '"'])
def test_a_manifest_of_anything_is_damage(folder, text):
    (folder / "step-00000020" / "manifest.json").write_bytes(text.encode("latin-1"))
    value, damages = load(folder)
    assert (value, len(damages)) == (1.0, 1)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(pristine, data):
    path = pristine / data.draw(st.sampled_from(FILES))
    content = path.read_bytes()
    flip(path, data.draw(st.floats(0, 1)), data.draw(st.integers(0, 7)))
    try:
        with pytest.raises(CorruptCheckpointError):
            verify(pristine)
    finally:
        path.write_bytes(content)
    verify(pristine)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return checkpoint_of(tmp_path_factory.mktemp("pristine"), Box(weights(1.0))).save(1)


def test_files_of_two_checkpoints_do_not_make_one(folder):
    old, new = folder / "step-00000010", folder / "step-00000020"
    for name in FILES[:2]:
        shutil.copy(old / name, new / name)
    value, (damage,) = load(folder)
    assert value == 1.0
    assert "not the bytes that were saved" in str(damage)


def test_where_none_is_whole_training_does_not_start_anew(folder):
    for path in list_checkpoints(folder):
        flip(path / "state.safetensors", 0.9)
    with pytest.raises(CorruptCheckpointError, match="no checkpoint is whole; move the folder away to start anew"):
        load(folder)
    assert names(folder) == ["step-00000010", "step-00000020"]


def test_where_nothing_was_ever_saved_there_is_nothing_to_restore(tmp_path):
    box = Box("as it was")
    assert checkpoint_of(tmp_path / "checkpoints", box).load_latest() == []
    assert box.content == "as it was"


def test_a_damaged_checkpoint_is_replaced_by_the_one_of_the_same_step(folder):
    flip(folder / "step-00000020" / "state.safetensors", 0.5)
    box = Box()
    checkpoint = checkpoint_of(folder, box)
    assert len(checkpoint.load_latest()) == 1
    box.content = weights(2.5)
    checkpoint.save(20)
    assert load(folder) == (2.5, [])
    assert names(folder) == ["step-00000010", "step-00000020"]


def test_damaged_ones_never_push_out_the_whole_ones(tmp_path):
    writer = checkpoint_of(tmp_path, Box(weights(1.0)), keep=5)
    for step in (10, 20, 30, 40, 50):
        writer.save(step)
    for step in (30, 40, 50):
        flip(tmp_path / f"step-{step:08d}" / "state.safetensors", 0.5)

    box = Box()
    checkpoint = checkpoint_of(tmp_path, box, keep=2)
    assert len(checkpoint.load_latest()) == 3
    newest, _ = newest_checkpoint(tmp_path)
    assert newest == tmp_path / "step-00000020"

    box.content = weights(2.0)
    checkpoint.save(23)
    assert names(tmp_path) == ["step-00000020", "step-00000023"]
    assert load(tmp_path) == (2.0, [])
