"""A command that is printed is that by which the shell finds this very program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cyclegan
from cyclegan.commands import invocation

SCRIPT = (
    "#!{python}\nimport sys\nfrom cyclegan.commands.invocation import command\nprint(command('show', *sys.argv[1:]))\n"
)


@pytest.fixture
def place(tmp_path) -> Path:
    """A program `cyclegan` in a virtual environment, and another one beside it."""
    for folder in (".venv/bin", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cyclegan").write_text(SCRIPT.format(python=sys.executable))
        (tmp_path / folder / "cyclegan").chmod(0o755)
    (tmp_path / "cyclegan").mkdir()
    (tmp_path / "cyclegan" / "__main__.py").write_text(SCRIPT)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    return tmp_path


def said(place: Path, line: str, *folders: str) -> str:
    """What a line of the shell prints while the PATH has only these folders of our own."""
    path = os.pathsep.join([*(str(place / folder) for folder in folders), "/usr/bin", "/bin"])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(Path(cyclegan.__file__).parents[1])}
    done = subprocess.run(line, shell=True, cwd=place, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("line", "folders", "printed"),
    [
        (".venv/bin/cyclegan", [], ".venv/bin/cyclegan"),
        (".venv/bin/cyclegan", ["other"], ".venv/bin/cyclegan"),
        (".venv/bin/cyclegan", [".venv/bin"], "cyclegan"),
        ("cyclegan", ["other", ".venv/bin"], "cyclegan"),
    ],
)
def test_the_program_is_named_as_the_shell_finds_it(place, line, folders, printed):
    assert said(place, f"{line} 'my photos'", *folders) == f"{printed} show 'my photos'"
    assert said(place, said(place, line, *folders), *folders) == f"{printed} show show"


@pytest.mark.parametrize("on_path", [[], [".venv/bin"]])
def test_a_module_is_named_with_the_python_that_runs_it(place, on_path, monkeypatch):
    python = ".venv/bin/python"
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATH", os.pathsep.join(str(place / folder) for folder in on_path))
    monkeypatch.setattr(sys, "argv", [str(place / "cyclegan" / "__main__.py")])
    monkeypatch.setattr(sys, "orig_argv", [python, "-m", "cyclegan"])
    assert invocation.command("show") == f"{'python' if on_path else python} -m cyclegan show"


def test_any_other_caller_is_told_of_the_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/pytest/__main__.py"])
    assert invocation.command("show", Path("a b")) == "cyclegan show 'a b'"
