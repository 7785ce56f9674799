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
from cyclegan.training import checkpoint
from cyclegan.training import forecast as plan

LAST = Path("runs") / "summer2winter" / "nano" / "checkpoints" / "step-00000005"


@pytest.fixture
def train(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, list[str]]]:
    """`cyclegan train` in a folder with two sides: exit code, lines on stderr. It was begun, and can be continued."""
    two_sides(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "describe", lambda *_, **__: [])
    monkeypatch.setattr(plan, "profile_step", lambda *_: plan.StepCost(0.01, 0, 0))
    monkeypatch.setattr(evaluate, "evaluate_run", lambda *_, **__: {})
    Path("nano.yaml").write_text(nano.CONFIG.format(steps=5, data=""))

    def run(*overrides: str) -> tuple[int, list[str]]:
        code = main(["train", "nano.yaml", *(f"--set={each}" for each in overrides)])
        return code, [line for line in lines(capsys.readouterr().err) if line.startswith("error: ")]

    assert run() == (0, [])
    return run


def trained_on(side: str) -> list[Path]:
    from cyclegan.data.data_config import UnpairedConfig
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
        patch.setattr(checkpoint, "_flatten", lambda tree, *more, flatten=checkpoint._flatten: flatten(
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


def to_another_folder(*sides: str) -> tuple[str, ...]:
    """Move sides; the settings that say so."""
    Path("elsewhere").mkdir(exist_ok=True)
    for side in sides:
        Path(side).rename(Path("elsewhere") / side)
    return tuple(f"data.{'x' if side == 'summer' else 'y'}=elsewhere/{side}" for side in sides)


def settings_of_run() -> str:
    return Path("runs/summer2winter/nano/config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("sides", [("summer",), ("winter",), ("summer", "winter")])
def test_a_run_whose_pictures_have_moved_is_continued_and_notes_where_they_are(train, sides, figure):
    moved = to_another_folder(*sides)
    assert train(*moved, "training.steps=5") == (0, [])
    for side in sides:
        assert f": elsewhere/{side}\n" in settings_of_run()
    figure("L2", f"{' and '.join(sides)} moved: continued, and the settings of the run tell where they are")


def test_an_absolute_path_is_another_name_of_the_same_pictures(train):
    assert train(f"data.x={Path('summer').absolute()}") == (0, [])
    assert f"x: {Path('summer').absolute()}\n" in settings_of_run()


@pytest.mark.parametrize("change", [gone, another])
def test_moved_pictures_that_are_others_now_are_refused_with_both_places(train, change):
    before = settings_of_run()
    change("summer")
    (moved,) = to_another_folder("summer")
    code, (said,) = train(moved)
    assert code == 2
    assert "error: summer: holds other pictures than this run has learned from: 1 came and 1 went, by name" in said
    assert "(data.x: 'summer' → 'elsewhere/summer')" in said
    assert settings_of_run() == before


def test_sides_that_are_swapped_are_refused(train):
    to_another_folder("summer", "winter")
    Path("summer").symlink_to(Path("elsewhere/winter").absolute())
    Path("winter").symlink_to(Path("elsewhere/summer").absolute())
    for number, path in enumerate(sorted(Path("elsewhere/winter").iterdir())):
        path.rename(path.with_name(f"w{number}.png"))
    code, (said,) = train()
    assert code == 2
    assert "holds other pictures than this run has learned from" in said


def test_a_checkpoint_of_before_cannot_tell_moved_pictures_and_is_refused(train, monkeypatch):
    load = Fingerprint.load_state_dict
    monkeypatch.setattr(Fingerprint, "load_state_dict", lambda self, _: load(self, {}))
    (moved,) = to_another_folder("summer")
    code, (said,) = train(moved)
    assert code == 2
    assert said.startswith("error: data: a checkpoint this old does not tell its pictures, and they may be others now")
    assert "elsewhere" not in settings_of_run()
