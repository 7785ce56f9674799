"""What other systems do differently: encodings, shells, and what only POSIX has."""

import ast
import functools
import io
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cyclegan
from cyclegan import cli
from cyclegan.commands import data
from cyclegan.commands.invocation import command
from cyclegan.errors import quoted
from cyclegan.training.atomic import replace_text

PACKAGE = Path(cyclegan.__file__).parent
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_CALLS = {"fork", "geteuid", "getuid", "killpg", "mkfifo", "sched_getaffinity", "setsid", "statvfs", "O_DIRECTORY"}
TEXT = {"read_text", "write_text", "open"}
ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-8")
ODD = "↓ … ↔ é 画 \udcff"  # the last is a part of a name that is no UTF-8


@functools.cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the package's code, with the place of its file."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    return [(path.relative_to(PACKAGE).as_posix(), node) for path, tree in trees.items() for node in ast.walk(tree)]


def without_encoding(call: ast.Call) -> bool:
    """True for a call that opens text in whatever encoding the system prefers."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = getattr(getattr(call.func, "value", None), "id", "")
    if name not in TEXT or owner in ("Image", "av", "os", "webbrowser"):
        return False
    strings = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    is_binary = any(isinstance(mode, str) and "b" in mode and len(mode) <= 3 for mode in strings)
    return not is_binary and not any(option.arg in ("encoding", "format", "mode") for option in call.keywords)


def test_every_text_is_opened_in_an_encoding_that_is_named():
    calls = [(name, node) for name, node in nodes() if isinstance(node, ast.Call)]
    opened = [(name, node) for name, node in calls if getattr(node.func, "attr", "") in ("read_text", "write_text")]
    assert len(opened) >= 5
    assert not [f"{name}:{node.lineno}" for name, node in calls if without_encoding(node) and not is_archive(node)]


def is_archive(call: ast.Call) -> bool:
    """A member of a zip archive, which is opened as bytes."""
    return ast.unparse(call) == "file.open(member)"


@pytest.mark.parametrize("code", ["p.read_text()", "p.write_text(t)", "open(p)", "p.open('a')", "open(p, 'w')"])
def test_a_text_without_encoding_is_noticed(code):
    assert without_encoding(ast.parse(code).body[0].value)


@pytest.mark.parametrize("code", ["p.open('rb')", "open(p, 'ab+')", "p.read_text(encoding='utf-8')", "os.open(p, 0)"])
def test_bytes_and_a_named_encoding_are_not(code):
    assert not without_encoding(ast.parse(code).body[0].value)


def test_programs_are_read_in_an_encoding_that_is_named():
    options = [(name, node) for name, node in nodes() if isinstance(node, ast.keyword)]
    assert not [name for name, node in options if node.arg in ("text", "universal_newlines")]


def test_what_only_posix_has_is_imported_where_its_absence_is_handled():
    handled = {id(node) for _, tried in nodes() if isinstance(tried, ast.Try) for node in tried.body}
    imports = [(name, node) for name, node in nodes() if isinstance(node, ast.Import) and is_posix(node)]
    assert {name for name, _ in imports} == {"training/lock.py", "training/forecast.py"}
    assert not [name for name, node in imports if id(node) not in handled]


def is_posix(node: ast.Import) -> bool:
    return any(alias.name in POSIX_ONLY for alias in node.names)


def test_no_call_that_only_posix_has_is_used():
    assert not [name for name, node in nodes() if isinstance(node, ast.Attribute) and node.attr in POSIX_CALLS]


@contextmanager
def written(encoding: str) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """What goes to stdout and to stderr within this context, in an encoding that raises for what it lacks."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(file, encoding=encoding, errors="strict", write_through=True) for file in (out, err)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        yield out, err


VERBS = ("train", "translate", "evaluate", "compare", "export", "import", "data", "serve", "show")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_help_is_printed_in_any_encoding(encoding):
    for arguments in (["--help"], *([verb, "--help"] for verb in VERBS)):
        with written(encoding) as (out, _):
            with pytest.raises(SystemExit) as ended:
                cli.main(arguments)
            assert ended.value.code == 0
            assert out.getvalue().startswith(b"usage: cyclegan")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_verb_says_is_printed_in_any_encoding_with_replacements(encoding, monkeypatch):
    monkeypatch.setattr(data, "list_data", lambda: print(ODD) or 0)
    with written(encoding) as (out, _):
        assert cli.main(["data", "list"]) == 0
        assert out.getvalue() == ODD.encode(encoding, "replace") + b"\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_mistake_with_an_odd_name_is_a_line_in_any_encoding(encoding):
    with written(encoding) as (_, err):
        assert cli.main(["show", f"{ODD}.yaml"]) == 2
        assert err.getvalue().startswith(b"error: ")


def test_an_output_that_cannot_be_changed_is_left_alone():
    with redirect_stdout(io.StringIO()) as out:
        assert cli.main(["data", "list"]) == 0
    assert "→" in out.getvalue()


def test_a_name_that_is_no_text_can_be_written_down(tmp_path):
    replace_text(tmp_path / "left-out.txt", f"{ODD}.png: bad\n")
    assert (tmp_path / "left-out.txt").read_bytes() == "↓ … ↔ é 画 \\udcff.png: bad\n".encode()


names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20)


@given(names.filter(lambda name: name not in (".", "..")))
def test_any_folder_in_a_printed_command_is_read_back_by_the_shell(name):
    for folder in (Path(name), Path("runs") / name):
        *words, last = shlex.split(command("train", folder))
        assert words == ["cyclegan", "train"]
        assert Path(last) == folder
        assert not last.startswith("-")
        assert shlex.split(quoted("rm", "-r", folder))[:2] == ["rm", "-r"]


def test_the_shell_of_windows_reads_double_quotes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert quoted("rm", "-r", "runs\\my photos2paintings") == 'rm -r "runs\\my photos2paintings"'
