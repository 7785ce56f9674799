"""The words of the package: docstrings that stand alone, names that are used once, no private dialect."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyclegan

PACKAGE = Path(cyclegan.__file__).parent
OPENINGS = re.compile(  # of fragments without an antecedent
    r"(What|The same|The inverse|How|Whether|Who|Whoever|Which|Where|When|Likewise|Nothing|Of|In|At|By|With|Within|"
    r"Without|For|From|To|As|On|Into|Beside|Below|After|Before|Between|It|Its|Their|They|This|Those|These|That|So|If|"
    r"Also|Says|Say|Not|Only)\b"
)
DIALECT = re.compile(
    r"\b(doctor|ails|whoever|passed over|overheard|verdict|the game|wins the game|player)\b", re.IGNORECASE
)
COMMANDS = "every command has its own"
SEVERAL = {  # public names of more than one module -> why
    "add_arguments": COMMANDS,
    "run": COMMANDS,
    "train": "the command and the loop that it calls",
    "load": "a YAML file; a model",
    "describe": "a file; a release; a training: each in its package",
    "difference": "of settings; of a graph and its network",
    "verify": "a data set; a checkpoint",
    "Part": "of a table of glyphs; of a checkpoint",
    "luma": "of arrays in NumPy; of tensors",
    "Source": "of samples; of weights",
    "Report": "of a data check; of an optimization; of translations",
    "Result": "of a comparison; of a request",
    "device_name": "for a report; for a forecast",
    "scales_for": "in PyTorch for losses; in NumPy for metrics",
    "ms_ssim": "in PyTorch for losses; in NumPy for metrics",
    "read_frames": "of an animation; of a video",
    "reduced": "a Pillow image; an array",
    "upright": "an array; a video frame",
    "choose": "a configuration; images of a task",
    "normalize": "images for ImageNet; features by a norm",
    "read_tensors": "of weights of others; of a checkpoint",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name, text) of every docstring of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", "module"), text


@pytest.mark.parametrize("fragment", ["Of a side.", "What a run is.", "The same of a file.", "Likewise.", "By one."])
def test_a_fragment_is_recognized(fragment):
    assert OPENINGS.match(fragment)


@pytest.mark.parametrize("sentence", ["Return the larger one.", "Offset of a page.", "Inverse of `read`."])
def test_a_sentence_that_stands_alone_is_none(sentence):
    assert not OPENINGS.match(sentence)


def test_every_docstring_begins_with_an_imperative_or_a_noun_phrase():
    found = [f"{name}: {owner}: {text[:60]}" for name, tree in modules() for owner, text in docstrings(tree)]
    assert not [line for line in found if OPENINGS.match(line.split(": ", 2)[2])]


def test_no_two_modules_have_one_stem():
    stems = [Path(name).stem for name, _ in modules() if not name.endswith("__init__.py")]
    assert not {stem for stem in stems if stems.count(stem) > 1}


def test_no_two_public_names_are_equal_but_for_a_short_list():
    owners: dict[str, list[str]] = defaultdict(list)
    for module, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                owners[node.name].append(module)
    assert {name for name, found in owners.items() if len(found) > 1} == SEVERAL.keys()


def strings(tree: ast.Module) -> Iterator[str]:
    """Text that users may read: constants and parts of f-strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_text_speaks_the_dialect_of_before():
    assert not [f"{name}: {text[:80]}" for name, tree in modules() for text in strings(tree) if DIALECT.search(text)]
