"""F3: a mutated YAML file is refused in one line that names place and key, or means exactly what it says."""

import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from mutants import WAYS, draws, lines, named, watched

from cyclegan.cli import main
from cyclegan.config import dump, load, parse
from cyclegan.data.cards import DATASETS
from cyclegan.errors import ConfigError
from cyclegan.experiment import Experiment

SMOKE = (DATASETS.parent / "experiments" / "smoke" / "cyclegan.yaml").read_text()
FULL = dump(parse(SMOKE, Experiment, "smoke"))
ALIASES = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij"))
WRONG = [
    *("-1", "0", "1000000000000", "9" * 400, "1e400", "-1e400", "1e308", "5e-324", ".nan", "nan", ".inf", "0x10", "08"),
    *("null", "~", "", "[]", "{}", "[1, 2, 3]", "{a: 1}", "true", "yes", "'quoted'", "'", '"', "*a", "&a 1", "!!int 1"),
    *("größer 馬", "\u202egrebro", "\x07", "a: b", "- a", "|", ">", "?", "%", "@", "`", "<<", "2e-4", "1_000", "1:30"),
    *("../../../etc", "/etc/passwd", "!!python/object/apply:os.system [ls]", "x" * 10_000, "2001-01-01", "=", "\\"),
]


def another_value(text: list[str], at: int, draw: random.Random) -> None:
    key, colon, _ = text[at].partition(":")
    text[at] = f"{key}{colon} {draw.choice(WRONG)}"


def another_key(text: list[str], at: int, draw: random.Random) -> None:
    key, colon, value = text[at].partition(":")
    space = key[: len(key) - len(key.lstrip())]
    changed = draw.choice([key.strip()[:-1], key.strip().upper(), "5", "~", "<<", "ключ", "? [a]", "", "a.b"])
    text[at] = f"{space}{changed}{colon}{value}"


EDITS = {
    "another value": another_value,
    "one more value": another_value,
    "another key": another_key,
    "a key less": lambda text, at, draw: text.pop(at),
    "a key twice": lambda text, at, draw: text.insert(at, text[at]),
    "a tab": lambda text, at, draw: text.__setitem__(at, "\t" + text[at]),
    "another depth": lambda text, at, draw: text.__setitem__(at, " " * draw.randint(1, 5) + text[at]),
    "two lines exchanged": lambda text, at, draw: text.insert(draw.randrange(len(text)), text.pop(at)),
    "aliases of aliases": lambda text, at, draw: text.insert(0, ALIASES),
    "ten thousand lists": lambda text, at, draw: text.insert(at, "deep: " + "[" * 10_000),
    "ten thousand mappings": lambda text, at, draw: text.insert(at, "deep: " + "{a: " * 10_000),
    "a second document": lambda text, at, draw: text.insert(at, "---"),
}


def mutant(number: int) -> tuple[str, bytes]:
    """Mostly mistakes as people make them; every fourth is what a disk does."""
    draw = draws(number)
    if number % 4 == 0:
        way = draw.choice(list(WAYS))
        return way, WAYS[way](FULL.encode(), draw)
    way, text = draw.choice(list(EDITS)), FULL.splitlines()
    EDITS[way](text, draw.randrange(len(text)), draw)
    return way, "\n".join(text).encode()


def read(path: Path) -> str:
    """How a mutant is read."""
    try:
        found = load(path, Experiment)
    except ConfigError as error:
        said = str(error)
        assert said.isprintable()
        assert re.match(rf"{re.escape(str(path))}:\d+:\d+: .", said)
        assert len(said) < 1000
        return "refused"
    assert parse(dump(found), Experiment, "dumped") == found
    return "equal" if dump(found) == FULL else "of another meaning that is allowed"


def test_mutated_settings_are_refused_in_one_line_or_mean_what_they_say(tmp_path, size, figure):
    path, count, outcomes = tmp_path / "mutant.yaml", size(100, 400), Counter()
    path.write_text(FULL)
    assert read(path) == "equal"
    with watched() as watch:
        for number in range(count):
            way, content = mutant(number)
            path.write_bytes(content)
            with watch.on(named(number, way)):
                try:
                    outcomes[read(path)] += 1
                except BaseException as error:
                    raise AssertionError(f"{named(number, way)}: {type(error).__name__}: {error}") from error
    said = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in sorted(outcomes))
    figure("F3", f"{count} mutated settings: 0 tracebacks ({said}); {watch}")
    assert watch.slowest < 1, watch.slowest_name
    assert watch.peak < 100
    assert outcomes["refused"] > count / 2


def test_by_command_line_mutated_settings_end_in_exit_code_2_and_one_line(tmp_path, capsys, figure, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, tried, numbers = tmp_path / "mutant.yaml", 0, iter(range(1000, 2000))
    while tried < 20:
        number = next(numbers)
        way, content = mutant(number)
        path.write_bytes(content)
        if read(path) != "refused":
            continue
        verb = ("train", "show")[tried % 2]
        assert main([verb, str(path)]) == 2, named(number, way)
        said = lines(capsys.readouterr().err)
        assert len(said) == 1, named(number, way)
        assert said[0].startswith(f"error: {path}:"), named(number, way)
        tried += 1
    assert list(tmp_path.iterdir()) == [path]
    figure("F3", f"{tried} of them by command line: exit code 2 and one line each, nothing written")


HUGE = [
    *("data.crop_size=1000000000000", "data.batch_size=1000000000000", "data.load_size=1000000000000"),
    *("method.generator.blocks=1000000000000", "method.generator.base_channels=1000000000000"),
    *("method.generator.downsamplings=64", "method.discriminator.layers=64", "data.workers=1000000000000"),
    *("data.cache_mb=-1", "name=''", "name=.", "name=..", "name=../../other", "name=/etc", 'name="a\\nb"'),
    f"name={'n' * 300}",
]


@pytest.mark.parametrize("override", HUGE)
def test_what_would_fill_the_memory_or_leave_the_folder_of_runs_is_refused(tmp_path, capsys, override):
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    assert main(["show", str(path), "--set", override]) == 2
    (said,) = lines(capsys.readouterr().err)
    assert override.partition("=")[0].rpartition(".")[2] in said


def test_settings_that_need_more_memory_than_there_is_end_in_one_line(tmp_path, capsys, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12288000000000000 bytes")

    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    monkeypatch.setattr("torch.rand", full)
    assert main(["show", str(path)]) == 4
    (said,) = lines(capsys.readouterr().err)
    assert "a smaller data.crop_size" in said
