"""The house rules, as tests: a module imports only from floors below its own, and every helper has a name."""

import ast
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyclegan
from cyclegan.cli import main
from cyclegan.methods.cyclegan import CycleGAN

PACKAGE = Path(cyclegan.__file__).parent
ROOT = PACKAGE.parent
SMOKE = ROOT / "experiments" / "smoke" / "cyclegan.yaml"

FLOORS = [  # from the ground up; what stands on one line are neighbors, which never import each other
    {"errors", "protocols"},
    {"config", "distributed", "device"},
    {"images"},
    {"functional"},
    {"networks", "losses", "data"},
    {"release"},
    {"training", "metrics"},
    {"methods"},
    {"evaluation", "model"},
    {"translate"},
    {"export", "serve"},
    {"experiment"},
    {"commands"},
    {"cli", "__init__"},
    {"__main__"},
]
FLOOR_OF = {area: floor for floor, areas in enumerate(FLOORS) for area in areas}


def area_of(path: Path, package: Path) -> str:
    """losses/adversarial.py → losses; config.py → config."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported(tree: ast.AST, package: Path) -> Iterator[str]:
    """The areas that a module imports, anywhere in it, also by a name in a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("cyclegan."))
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level  # house rule: absolute imports only
        elif isinstance(node, ast.ImportFrom) and node.module == "cyclegan":
            names = [alias.name for alias in node.names if not alias.name.startswith("__")]
            yield from (n if (package / n).is_dir() or (package / f"{n}.py").exists() else "__init__" for n in names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("cyclegan."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"cyclegan(\.\w+)+", str(node.value)):
            yield node.value.split(".")[1]


def wrong_imports(package: Path) -> list[str]:
    """Every import that does not point down."""
    wrong = []
    for path in sorted(package.rglob("*.py")):
        area, name = area_of(path, package), path.relative_to(package).as_posix()
        if area not in FLOOR_OF:
            wrong.append(f"{name} stands on no floor")
            continue
        others = set(imported(ast.parse(path.read_text(encoding="utf-8")), package)) - {area}
        wrong += [f"{name} imports {o}" for o in sorted(others) if FLOOR_OF.get(o, 99) >= FLOOR_OF[area]]
    return wrong


def test_imports_point_downwards():
    assert not wrong_imports(PACKAGE)


@pytest.mark.parametrize(
    ("place", "line", "said"),
    [
        ("losses/bad.py", "from cyclegan.methods.cyclegan import CycleGANConfig", "losses/bad.py imports methods"),
        ("functional/bad.py", "def late(): import cyclegan.experiment", "functional/bad.py imports experiment"),
        ("functional/bad.py", "import cyclegan.images.tensors, cyclegan.data.cards", "functional/bad.py imports data"),
        ("networks/bad.py", "from cyclegan.losses.adversarial import x", "networks/bad.py imports losses"),
        ("training/deep/bad.py", "from cyclegan import methods", "training/deep/bad.py imports methods"),
        ("device.py", "from cyclegan.images.tensors import read", "device.py imports images"),
        ("data/bad.py", "from cyclegan import load", "data/bad.py imports __init__"),
        ("data/bad.py", "from ..methods import build", "data/bad.py imports .."),
        ("training/bad.py", "import_module('cyclegan.methods.cut')", "training/bad.py imports methods"),
        ("plugins/bad.py", "import cyclegan.errors", "plugins/bad.py stands on no floor"),
    ],
)
def test_a_wrong_import_is_noticed(tmp_path, place, line, said):
    package = shutil.copytree(PACKAGE, tmp_path / "cyclegan", ignore=shutil.ignore_patterns("__pycache__"))
    (package / place).parent.mkdir(parents=True, exist_ok=True)
    (package / place).write_text(f"{line}\n")
    assert wrong_imports(package) == [said]


@pytest.mark.parametrize(
    "line", ["from cyclegan import __version__", "import cyclegan", "import torch, cyclegan.errors"]
)
def test_a_right_import_is_not(tmp_path, line):
    package = shutil.copytree(PACKAGE, tmp_path / "cyclegan", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "losses" / "good.py").write_text(f"{line}\n")
    assert wrong_imports(package) == []


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = {"utils", "util", "common", "helpers", "helper", "misc"}
    found = [path for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*") if path.stem in drawers]
    assert not found


def test_no_method_switches_mixed_precision():
    assert not [path.name for path in (PACKAGE / "methods").glob("*.py") if "autocast" in path.read_text("utf-8")]


def test_the_folder_of_data_sets_is_no_package():
    assert (ROOT / "datasets").is_dir()
    assert not (ROOT / "datasets" / "__init__.py").exists()  # it would hide an installed `datasets`


def test_capital_f_is_the_papers_generator_and_no_module():
    text = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert not [name for name, code in text.items() if re.search(r"import .* as F$", code, re.MULTILINE)]


def test_annotations_are_evaluated_so_that_they_can_be_checked():
    text = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert not [name for name, code in text.items() if "from __future__ import annotations" in code]


def test_a_step_is_few_calls_below_the_command_and_takes_few_files(tmp_path, monkeypatch):
    """At most five calls from the entry point to training_step; at most 15 files on the main thread in a step."""
    monkeypatch.chdir(tmp_path)
    depths, files, package = [], set(), str(PACKAGE)
    trained = CycleGAN.training_step

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(package):
            files.add(frame.f_code.co_filename)

    def training_step(*arguments):
        callers = [frame.filename for frame in traceback.extract_stack() if frame.filename.startswith(package)]
        if callers[-1].endswith("loop.py"):  # and not the forecast
            depths.append(len(callers))
            sys.setprofile(note if len(depths) == 2 else None)  # from one step to the next
        return trained(*arguments)

    monkeypatch.setattr(CycleGAN, "training_step", training_step)
    monkeypatch.setattr("cyclegan.commands.evaluate.evaluate_run", lambda *_, **__: {})
    rare = [f"training.{name}=100" for name in ("log_every", "sample_every", "save_every")]
    settings = [word for setting in ("training.steps=4", *rare) for word in ("--set", setting)]
    assert main(["train", str(SMOKE), *settings]) == 0
    assert set(depths) == {5}
    assert len(files) <= 15, sorted(files)
