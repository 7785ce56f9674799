"""F4: a training that comes to a bad picture stops with its path, or leaves it out from the beginning."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutants import lines
from PIL import Image

from cyclegan.cli import main

CONFIG = """
name: nano
method:
  name: cyclegan
  generator: {base_channels: 2, blocks: 1}
  discriminator: {base_channels: 2, layers: 1}
  buffer_size: 4
data: {x: summer, y: winter, load_size: null, crop_size: 8, batch_size: 2}
training: {steps: 24, log_every: 8, sample_every: 24, save_every: 12, device: cpu}
"""
COUNT = 125


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with settings and two sides of tiny pictures."""
    (tmp_path / "nano.yaml").write_text(CONFIG)
    draws = np.random.default_rng(0)
    for side in ("summer", "winter"):
        (tmp_path / side).mkdir()
        for i in range(COUNT):
            Image.fromarray(draws.integers(256, size=(9, 10, 3), dtype=np.uint8)).save(tmp_path / side / f"{i:03d}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cyclegan.commands.evaluate.evaluate_run", lambda *_, **__: {})
    return tmp_path


@pytest.fixture
def train(place, capsys) -> Callable[..., tuple[int, str, list[str]]]:
    """`cyclegan train`: exit code, output, lines on stderr."""

    def run(*overrides: str) -> tuple[int, str, list[str]]:
        code = main(["train", "nano.yaml", *(argument for each in overrides for argument in ("--set", each))])
        said = capsys.readouterr()
        return code, said.out, [line for line in lines(said.err) if line.startswith("error: ")]

    return run


def trained_on(place: Path) -> tuple[Path, Path]:
    """A picture of X that is trained on, and one that is kept for testing."""
    from cyclegan.data.data_config import UnpairedConfig
    from cyclegan.data.splits import find_splits

    sources = find_splits(UnpairedConfig(x=place / "summer", y=place / "winter", load_size=None, crop_size=8))
    return sources.x.train[3], sources.x.test[0]


SKIP = "data.on_bad_image=skip"


@pytest.mark.slow
def test_a_training_that_comes_to_a_bad_picture_stops_with_its_path(train, place, figure):
    bad, _ = trained_on(place)
    bad.write_bytes(bad.read_bytes()[:60])
    code, _, said = train("training.steps=64")
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(f"error: summer/{bad.name}: not a readable picture")
    figure("F4", "on_bad_image error: exit code 2 and the path of the one truncated picture among 250")


@pytest.mark.slow
def test_a_bad_picture_is_left_out_said_and_noted_and_nothing_else_changes(train, place, first_difference, figure):
    bad, _ = trained_on(place)
    content = bad.read_bytes()
    bad.unlink()
    assert train("name=without")[0] == 0
    bad.write_bytes(content[:60])
    code, out, _ = train(SKIP, "name=skipped")
    assert code == 0
    assert "left out  1 of the pictures, listed in runs/summer2winter/skipped/left-out.txt: summer/" in out
    runs = place / "runs" / "summer2winter"
    (noted,) = (runs / "skipped" / "left-out.txt").read_text().splitlines()
    assert noted.startswith(f"summer/{bad.name}: not a readable picture")
    assert not (runs / "without" / "left-out.txt").exists()

    assert train(SKIP, "name=resumed", "data.workers=1")[0] == 0
    steps = [runs / name / "checkpoints" / "step-00000012" / "state.safetensors" for name in ("without", "skipped")]
    assert steps[0].read_bytes() == steps[1].read_bytes()
    for step in (12, 24):
        one, other = (runs / name / "checkpoints" / f"step-{step:08d}" for name in ("skipped", "resumed"))
        assert first_difference(one, other) is None
    shutil.rmtree(runs / "resumed" / "checkpoints" / "step-00000024")
    assert train(SKIP, "name=resumed", "data.workers=5")[0] == 0
    last = [runs / name / "checkpoints" / "step-00000024" for name in ("skipped", "resumed")]
    assert first_difference(*last) is None
    figure("F4", "on_bad_image skip: as if the picture were not there, to the bit; 1 or 5 workers, resumed or not")


def test_more_than_a_hundredth_of_bad_pictures_is_no_accident(train, place, figure):
    for path in sorted((place / "winter").iterdir())[:2]:
        path.write_bytes(b"")
    code, _, said = train(SKIP)
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(
        "error: data.on_bad_image: 2 of 125 pictures of winter cannot be read, above data.max_bad_fraction (1%), as "
    )
    assert not (place / "runs" / "summer2winter" / "nano" / "checkpoints").exists()
    figure("F4", "on_bad_image skip: exit code 2 before the first step at 2 bad pictures of 125")
