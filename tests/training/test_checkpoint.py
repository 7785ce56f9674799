"""Checkpoint: what is written, what is refused, and how all of it comes back. tests/faults kills it on the way."""

import json
import resource
import tempfile
from pathlib import Path

import pytest
import torch
from box import Box, checkpoint_of, load, names, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from cyclegan.errors import NotFiniteError, ResourceError
from cyclegan.training.checkpoint import Checkpoint

# Writing


def test_what_a_killed_save_left_behind_is_removed_by_the_next_save(folder):
    for step in (30, 33):
        (folder / f"step-{step:08d}.partial").mkdir()
        (folder / f"step-{step:08d}.partial" / "state.safetensors").write_text("half of")
    checkpoint_of(folder, Box(weights(3.0))).save(30)
    assert names(folder) == ["step-00000020", "step-00000030"]
    assert load(folder) == (3.0, [])


@pytest.mark.parametrize("keep", [2, 3])
def test_exactly_so_many_are_kept(tmp_path, keep):
    checkpoint = checkpoint_of(tmp_path, Box(0), keep)
    for step in range(1, 7):
        checkpoint.save(step)
        assert names(tmp_path) == [f"step-{s:08d}" for s in range(max(1, step - keep + 1), step + 1)]


def test_other_folders_beside_the_checkpoints_are_none_of_its_business(folder):
    for name in ("step-00000099-backup", "step-best", "notes"):
        (folder / name).mkdir()
    checkpoint = checkpoint_of(folder, Box(weights(3.0)))
    assert checkpoint.load_latest() == []
    checkpoint.save(30)
    assert names(folder) == ["notes", "step-00000020", "step-00000030", "step-00000099-backup", "step-best"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_refused_and_the_last_checkpoint_stays_good(folder, bad, kind):
    poisoned = torch.zeros(3, 4, dtype=kind)
    poisoned[1, 2] = bad
    with pytest.raises(NotFiniteError, match=r"box\.content\.moment: holds NaN or infinity") as caught:
        checkpoint_of(folder, Box({"moment": poisoned})).save(30)
    assert caught.value.exit_code == 3
    assert load(folder) == (2.0, [])


def test_a_release_that_is_not_finite_is_refused_too(folder):
    checkpoint = Checkpoint(folder, 2, {"G.weight": torch.tensor([1.0, float("nan")])}, {}, box=Box(weights(3.0)))
    with pytest.raises(NotFiniteError, match="weight"):
        checkpoint.save(30)
    assert load(folder) == (2.0, [])


def test_a_full_disk_is_an_error_of_one_line_that_leaves_the_last_checkpoint_and_no_litter(folder):
    checkpoint = checkpoint_of(folder, Box(weights(3.0)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"step-00000030: 0\.0 MB cannot be written .*make room") as caught:
            checkpoint.save(30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert names(folder) == ["step-00000010", "step-00000020"]
    assert load(folder) == (2.0, [])
    checkpoint.save(30)
    assert load(folder) == (3.0, [])


def test_whoever_may_read_the_folder_may_read_its_files(folder):
    readable = {path.name: path.stat().st_mode & 0o444 for path in (folder / "step-00000020").iterdir()}
    assert set(readable.values()) == {folder.stat().st_mode & 0o444}


# Content


def tensors() -> st.SearchStrategy[torch.Tensor]:
    kinds = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda kind, shape: torch.testing.make_tensor(*shape, dtype=kind, device="cpu"), st.sampled_from(kinds), shapes
    )


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.text(alphabet=".01ab'", max_size=3) | st.integers(0, 11)
STATES = st.recursive(
    SCALARS | tensors(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(state=STATES)
def test_any_nested_state_comes_back_to_the_bit(is_same, state):
    with tempfile.TemporaryDirectory() as place:
        checkpoint_of(Path(place), Box(state)).save(1)
        box = Box()
        checkpoint_of(Path(place), box).load_latest()
    assert is_same(box.content, state)


def test_names_that_look_alike_stay_apart(tmp_path):
    state = {"a.b": {"c": torch.tensor(1)}, "a": {"b.c": torch.tensor(2)}, 0: torch.tensor(3), "0": torch.tensor(4)}
    box = Box()
    checkpoint_of(tmp_path, Box(state)).save(1)
    checkpoint_of(tmp_path, box).load_latest()
    assert box.content == state


def test_views_and_tensors_that_learn_are_saved_as_what_they_show(tmp_path):
    grid = torch.arange(12.0).reshape(3, 4).requires_grad_()
    box = Box()
    checkpoint_of(tmp_path, Box({"turned": grid.t(), "part": grid[1:, ::2], "same": grid[:1].expand(2, 4)})).save(1)
    checkpoint_of(tmp_path, box).load_latest()
    assert torch.equal(box.content["turned"], grid.t())
    assert torch.equal(box.content["part"], grid[1:, ::2])
    assert torch.equal(box.content["same"], grid[:1].expand(2, 4))


def test_what_json_cannot_hold_is_refused_by_its_name_before_anything_is_written(folder):
    with pytest.raises(TypeError, match=r"box\.content\.hook: a checkpoint holds no set"):
        checkpoint_of(folder, Box({"hook": {1, 2}})).save(30)
    assert names(folder) == ["step-00000010", "step-00000020"]


def test_the_release_tells_what_it_is_to_anybody_with_safetensors(folder):
    with safe_open(folder / "step-00000020" / "release.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["about"])
        assert {key: about[key] for key in ("x", "step")} == {"x": "photo", "step": 20}
        assert list(file.keys()) == ["G.weight"]
        assert file.get_tensor("G.weight").tolist() == [1.0, 1.0, 1.0]
