"""How this program was called, so that a command that it prints works as it is printed."""

import os
import shutil
import sys

from cyclegan.errors import quoted

NAME = "cyclegan"


def command(*arguments: object) -> str:
    """This program with other arguments, as the shell that called it understands them."""
    return quoted(*_called(), *arguments)


def _called() -> list[str]:
    """`cyclegan`, `.venv/bin/cyclegan` where that is not on the PATH, or `python -m cyclegan`."""
    folder, name = os.path.split(sys.argv[0])
    if name == "__main__.py" and os.path.basename(folder) == NAME:
        return [_shortest(sys.orig_argv[0]), "-m", NAME]
    return [_shortest(sys.argv[0]) if name == NAME else NAME]  # a test or a notebook calls it otherwise


def _shortest(program: str) -> str:
    """Its name alone, if the shell finds this one by it. Links are not followed, as a venv's python is one."""
    name = os.path.basename(program)
    found = shutil.which(name)
    return name if found and os.path.abspath(found) == os.path.abspath(program) else program
