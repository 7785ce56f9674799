"""A folder with two checkpoints."""

from pathlib import Path

import pytest
from box import two_saved


@pytest.fixture
def folder(tmp_path) -> Path:
    """Checkpoints of steps 10, which holds 1.0, and 20, which holds 2.0."""
    return two_saved(tmp_path / "checkpoints")
