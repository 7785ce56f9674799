"""Paths as people write them: ~, names that are no text, folders that are not there."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.cli import main, parser
from cyclegan.config import dump, parse
from cyclegan.errors import ConfigError, UserError, printable
from cyclegan.evaluation.report import save_report
from cyclegan.evaluation.tasks import find_translations

NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")


@dataclass(frozen=True)
class Places:
    """Settings with paths."""

    one: Path | None = None
    many: tuple[Path, ...] = ()
    text: str = ""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.png")
    return tmp_path


def test_the_home_folder_is_expanded_in_settings_and_not_in_text(home):
    places = parse("one: ~/x\nmany: [~/y, z]\ntext: ~/t", Places, "a.yaml")
    assert places == Places(home / "x", (home / "y", Path("z")), "~/t")


@pytest.mark.parametrize(
    "line",
    [
        "translate ~/run ~/a.png --style ~/s.png --masks ~/m.png --out ~/out",
        "train --x ~/x --y ~/y",
        "evaluate ~/out --sources ~/s --targets ~/t --held-out ~/h --out ~/o",
        "export ~/run --out ~/a.onnx",
        "import ~/a.pth --out ~/b",
        "serve ~/run --examples ~/e",
        "show ~/a.yaml",
        "compare ~/a.yaml",
    ],
)
def test_the_home_folder_is_expanded_on_every_command_line(home, line):
    given = vars(parser().parse_args(line.split())).values()
    paths = [path for value in given for path in (value if isinstance(value, list) else [value])]
    assert len([path for path in paths if isinstance(path, Path)]) == line.count("~")
    assert all(path.is_relative_to(home) for path in paths if isinstance(path, Path))


def test_a_folder_below_home_is_checked(home, capsys):
    assert main(["data", "check", "~/photos"]) == 0
    assert capsys.readouterr().out.startswith(f"{home / 'photos'}: 1 of 1 pictures")


@pytest.mark.parametrize("name", ["~/nowhere", "./nowhere", "no/where", "nowhere"])
def test_of_a_folder_that_is_not_there_the_message_speaks_of_folders(home, capsys, name):
    assert main(["data", "check", name]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_path_that_is_not_utf8_survives_the_settings(tmp_path):
    places = Places(one=tmp_path / NOT_UTF8)
    text = dump(places)
    assert text.isascii()
    assert parse(text, Places, "a.yaml") == places
    with pytest.raises(ConfigError, match="text: contains a character that no file can hold"):
        parse('text: "caf\\uDCE9"', Places, "a.yaml")


def test_such_a_name_has_a_printable_form():
    assert printable(NOT_UTF8) == "caf\N{REPLACEMENT CHARACTER}.jpg"
    assert printable("café.jpg") == "café.jpg"


def test_reports_name_such_files(tmp_path):
    save_report(tmp_path, {}, {"pictures": NOT_UTF8})
    assert "caf\N{REPLACEMENT CHARACTER}.jpg" in (tmp_path / "evaluation.json").read_text(encoding="utf-8")


def fill(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_translations_of_sources_of_one_stem_are_told_apart(tmp_path):
    names = ["1.png", "1.jpg", "deep/1.png"]
    sources = fill(tmp_path / "photos", *names)
    assert find_translations(tmp_path / "out", sources[:0]) == {}
    out = fill(tmp_path / "out", *names)
    assert list(find_translations(tmp_path / "out", sources).values()) == out


def test_one_translation_is_not_that_of_two_sources(tmp_path):
    sources = fill(tmp_path / "photos", "1.png", "1.jpg")
    fill(tmp_path / "out", "1_fake.png")
    with pytest.raises(UserError, match=r"have one translation, .*1_fake\.png; translate both of them"):
        find_translations(tmp_path / "out", sources)
