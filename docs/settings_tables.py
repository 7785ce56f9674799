"""Makes the tables of settings.md from the dataclasses themselves, so that nothing is said twice.

A line `::: settings cyclegan.training.settings.TrainingConfig` becomes the class's fields with types, defaults and the
comments at their ends.
"""

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^::: settings ([\w.]+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for every page."""
    return LINE.sub(lambda found: table(found[1]), markdown)


def table(dotted: str) -> str:
    """The fields of a dataclass as a Markdown table, read from its source."""
    module, _, name = dotted.rpartition(".")
    path = ROOT / f"{module.replace('.', '/')}.py"
    lines = path.read_text().splitlines()
    (node,) = (n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.ClassDef) and n.name == name)
    rows = [_row(field, lines) for field in node.body if isinstance(field, ast.AnnAssign)]
    return "\n".join(
        [ast.get_docstring(node) or "", "", "| key | default | kind | what |", "| --- | --- | --- | --- |", *rows]
    )


def _row(field: ast.AnnAssign, lines: list[str]) -> str:
    default = "required" if field.value is None else f"`{_as_yaml(ast.unparse(field.value))}`"
    kind = re.sub(r"Literal\[(.*?)\]", lambda found: found[1].replace("'", ""), ast.unparse(field.annotation))
    kind = kind.replace("|", "or").replace("None", "null").replace("str", "text")
    _, _, said = lines[field.end_lineno - 1].partition("  # ")
    return f"| `{ast.unparse(field.target)}` | {default} | {kind} | {said} |"


def _as_yaml(python: str) -> str:
    return {"None": "null", "True": "true", "False": "false"}.get(python, python.replace("'", ""))
