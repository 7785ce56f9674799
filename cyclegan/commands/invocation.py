"""Command line that starts this program, so that commands that it prints work as printed."""

import os
import shutil
import sys

from cyclegan.errors import quoted

NAME = "cyclegan"


def command(*arguments: object) -> str:
    """Return a command that calls this program with other arguments, quoted for the shell."""
    return quoted(*_called(), *arguments)


def _called() -> list[str]:
    """Return `cyclegan`, `.venv/bin/cyclegan` where that is not on the PATH, or `python -m cyclegan`."""
    folder, name = os.path.split(sys.argv[0])
    if name == "__main__.py" and os.path.basename(folder) == NAME:
        return [_shortest(sys.orig_argv[0]), "-m", NAME]
    return [_shortest(sys.argv[0]) if name == NAME else NAME]  # a test or a notebook calls it otherwise


def _shortest(program: str) -> str:
    """Return the bare name of a program if the shell finds this one by it, else its path.

    Links are not followed, because a venv's python is a link.
    """
    name = os.path.basename(program)
    found = shutil.which(name)
    return name if found and os.path.abspath(found) == os.path.abspath(program) else program
