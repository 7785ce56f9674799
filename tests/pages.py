"""The pages of the documentation, and what they tell one to type."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "experiments" / "README.md"]
TESTS = "make test"  # it runs what is here
ACTIVATE = ". .venv/bin/activate"  # says something to a terminal only


def commands() -> Iterator[str]:
    """Every line of the pages that is typed, without its comment; what goes on in the next line is one."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                command = " ".join(shlex.split(line, comments=True)) and re.sub(r"\s+# .*", "", line).strip()
                if command:
                    yield command


def typed() -> list[str]:
    """Each once, but for that of the tests and that of the terminal."""
    return sorted(set(commands()) - {TESTS, ACTIVATE})


def scripts() -> Iterator[tuple[str, str]]:
    """Every block of Python, with its page."""
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yield page.name, block
