"""A run with two checkpoints of a tiny CycleGAN, as training leaves it."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def run(tmp_path, save_run) -> SimpleNamespace:
    """The run's folder, its checkpoints and the released file of the newest."""
    folder = save_run(tmp_path / "runs" / "photo2painting" / "tiny")
    older, newer = sorted((folder / "checkpoints").iterdir())
    return SimpleNamespace(folder=folder, older=older, newer=newer, file=newer / "release.safetensors")
