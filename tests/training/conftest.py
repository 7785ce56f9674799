"""A folder with two checkpoints."""

from pathlib import Path

import pytest
from box import Box, checkpoint_of, weights


@pytest.fixture
def folder(tmp_path) -> Path:
    """Checkpoints of steps 10, which holds 1.0, and 20, which holds 2.0."""
    box = Box()
    checkpoint = checkpoint_of(tmp_path / "checkpoints", box)
    for step, value in ((10, 1.0), (20, 2.0)):
        box.content = weights(value)
        checkpoint.save(step)
    return checkpoint.folder
