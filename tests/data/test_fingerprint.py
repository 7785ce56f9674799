"""Fingerprint of any image fields: other files are noticed and named, moved ones are the same."""

import shutil
from pathlib import Path

import pytest

from cyclegan.data.fingerprint import Fingerprint
from cyclegan.errors import UserError
from cyclegan.training.checkpoint import _flatten, _unflatten


@pytest.fixture
def files(tmp_path) -> list[Path]:
    paths = [tmp_path / "data" / name for name in ("a.png", "deep/b.png", "c.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


FIELDS = [("x", "y"), ("content", "style"), ("target",)]


def fingerprint(fields: tuple[str, ...], paths: list[Path]) -> Fingerprint:
    return Fingerprint({field: (f"folder of {field}", paths) for field in fields})


def stored(state: dict) -> dict:
    """A state that has gone through a checkpoint."""
    tensors: dict = {}
    return _unflatten(_flatten(state, (), tensors), tensors)


@pytest.mark.parametrize("fields", FIELDS)
def test_the_same_files_are_accepted_in_any_order_and_place(files, tmp_path, fields):
    state = stored(fingerprint(fields, files).state_dict())
    assert set(state) == set(fields)
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    moved = [tmp_path / "elsewhere" / path.relative_to(tmp_path / "data") for path in files]
    fingerprint(fields, moved[::-1]).load_state_dict(state)


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize(
    ("change", "counts"), [("grown", "1 came and 1 went"), ("new", "1 came and 0 went"), ("gone", "0 came and 1 went")]
)
def test_others_are_refused_by_the_name_of_their_field_and_counted(files, fields, change, counts):
    state = stored(fingerprint(fields, files).state_dict())
    if change == "grown":
        files[0].write_bytes(b"larger than before")
    now = {"grown": files, "new": [*files, files[0].with_name("d.png")], "gone": files[:-1]}[change]
    if change == "new":
        now[-1].write_bytes(b"d")
    changed = {field: (f"folder of {field}", files) for field in fields} | {
        fields[-1]: (f"folder of {fields[-1]}", now)
    }
    named = fields[0] if change == "grown" else fields[-1]  # all fields share the file that has grown
    said = f"folder of {named}: holds other pictures than this run has learned from: {counts}, by name and size"
    with pytest.raises(UserError, match=said):
        Fingerprint(changed).load_state_dict(state)
