"""A run with two checkpoints of a tiny CycleGAN, as training leaves it; and what it is shown."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cyclegan.model.load import load
from cyclegan.model.model import Model


@pytest.fixture
def run(tmp_path, save_run) -> SimpleNamespace:
    """The run's folder, its checkpoints and the released file of the newest."""
    folder = save_run(tmp_path / "runs" / "photo2painting" / "tiny")
    older, newer = sorted((folder / "checkpoints").iterdir())
    return SimpleNamespace(folder=folder, older=older, newer=newer, file=newer / "release.safetensors")


@pytest.fixture
def painter(run) -> Model:
    return load(run.folder, device="cpu")


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "paintings"


@pytest.fixture
def source(tmp_path) -> Path:
    """A film with sound."""
    from films import film, moving_square  # which need PyAV

    return film(tmp_path / "film.mp4", moving_square(), sound="aac")


@pytest.fixture
def only_line(capsys) -> Callable[[], str]:
    """Reads the one error that has been said."""

    def read() -> str:
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
        return line

    return read
