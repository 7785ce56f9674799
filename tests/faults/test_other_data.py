"""A run is not continued with other pictures than it has learned from, wherever they lie. (L1)"""

import shutil
from collections.abc import Callable
from pathlib import Path

import nano
import pytest
from folders import two_sides
from mutants import lines
from PIL import Image

from cyclegan.cli import main
from cyclegan.commands import evaluate
from cyclegan.data.fingerprint import Fingerprint
from cyclegan.training import checkpoint, plan

LAST = Path("runs") / "summer2winter" / "nano" / "checkpoints" / "step-00000005"


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, list[str]]]:
    """`cyclegan train` in a folder with two sides: exit code, lines on stderr. It was begun, and can be continued."""
    two_sides(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "describe", lambda *_, **__: [])
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_, **__: {})
    Path("nano.yaml").write_text(nano.CONFIG.format(steps=5, data=""))

    def run(*overrides: str) -> tuple[int, list[str]]:
        code = main(["train", "nano.yaml", *(f"--set={each}" for each in overrides)])
        return code, [line for line in lines(capsys.readouterr().err) if line.startswith("error: ")]

    assert run() == (0, [])
    return run


def trained_on(side: str) -> list[Path]:
    from cyclegan.data.settings import UnpairedConfig
    from cyclegan.data.splits import find_splits

    found = find_splits(UnpairedConfig(x=Path("summer"), y=Path("winter"), load_size=None, crop_size=32))
    return found.x.train if side == "summer" else found.y.train


def gone(side: str) -> None:
    trained_on(side)[0].unlink()


def another(side: str) -> None:
    old = trained_on(side)[0]
    Image.open(old).resize((50, 50)).save(old)


@pytest.mark.parametrize("side", ["summer", "winter"])
@pytest.mark.parametrize("change", [gone, another])
def test_with_other_pictures_a_run_is_not_continued(train, change, side, figure):
    counts = "1 came and 1 went"  # of fewer pictures fewer are held out, so that one comes for the one that is gone
    before = LAST.joinpath("manifest.json").read_bytes()
    shutil.copytree(side, "kept")
    change(side)
    code, (said,) = train()
    assert code == 2
    assert said.startswith(f"error: {side}: holds other pictures than this run has learned from: {counts}, by name")
    assert "bring the old ones back, or give the run a name of its own (--set name=…)" in said
    assert LAST.joinpath("manifest.json").read_bytes() == before
    assert train("name=other") == (0, [])
    shutil.rmtree(side)
    Path("kept").rename(side)
    assert train() == (0, [])
    figure("L1", f"{side}: {counts}: exit code 2, one line; continued once they are back")


def test_without_what_it_keeps_of_them_a_run_would_be_continued(train, monkeypatch):
    gone("summer")
    monkeypatch.setattr(Fingerprint, "load_state_dict", lambda *_: None)
    assert train() == (0, [])


def test_a_checkpoint_of_before_tells_nothing_and_is_continued(train, monkeypatch):
    shutil.rmtree("runs")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_strip", lambda tree, *more, strip=checkpoint._strip: strip(
            {key: value for key, value in tree.items() if key != "data"} if not more[0] else tree, *more))  # fmt: skip
        assert train() == (0, [])
    assert "data" not in str(checkpoint.read_tensors(LAST / "state.safetensors")[0].keys())
    assert train() == (0, [])


def test_data_that_moved_are_the_same(tmp_path):
    here, there = tmp_path / "here", tmp_path / "a" / "there"
    for folder, names in ((here, "abc"), (there, "cab")):
        (folder / "deep").mkdir(parents=True)
        for name in names:
            (folder / "deep" / f"{name}.png").write_text(name)
        (folder / "top.png").write_text("top")
    one, other = (Fingerprint({"x": ("x", list(f.rglob("*.png"))), "y": ("y", [f / "top.png"])}) for f in (here, there))
    other.load_state_dict(one.state_dict())
    assert Fingerprint({"x": ("x", [here / "top.png"])}).told["x"] != one.told["x"]
