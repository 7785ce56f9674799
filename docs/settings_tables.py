"""Makes the tables of settings.md from the dataclasses themselves, so that nothing is said twice.

A line `::: settings cyclegan.training.training_config.TrainingConfig` becomes its fields with types, defaults and the
comments at their ends. `::: variants cyclegan.methods.METHODS method` becomes a section for each entry of the table.
"""

import ast
import importlib
import inspect
import re
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

LINE = re.compile(r"^::: settings ([\w.]+)$", re.MULTILINE)
VARIANTS = re.compile(r"^::: variants ([\w.]+) (\w+)$", re.MULTILINE)
NAMES = {str: "text", NoneType: "null", ...: "…"}  # of what Python calls otherwise


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for every page."""
    markdown = VARIANTS.sub(lambda found: sections(found[1], found[2]), markdown)
    return LINE.sub(lambda found: table(found[1]), markdown)


def sections(dotted: str, key: str) -> str:
    """A heading and a line `::: settings` for each entry of an open table."""
    module, _, name = dotted.rpartition(".")
    entries = getattr(importlib.import_module(module), name).table.items()
    parts = [f"## {key}: {name}\n\n::: settings {place.replace(':', '.')}" for name, place in entries]
    return "\n\n".join(parts)


def table(dotted: str) -> str:
    """The fields of a dataclass as a Markdown table."""
    module, _, name = dotted.rpartition(".")
    settings = getattr(importlib.import_module(module), name)
    kinds, said = get_type_hints(settings), _comments(settings)
    rows = [f"| `{f.name}` | {_default(f)} | {_kind(kinds[f.name])} | {said[f.name]} |" for f in fields(settings)]
    head = ["| key | default | kind | what |", "| --- | --- | --- | --- |"]
    return "\n".join([inspect.getdoc(settings) or "", "", *head, *rows])


def _comments(settings: type) -> dict[str, str]:
    """Comments at the ends of the fields, those of base classes included."""
    found: dict[str, str] = {}
    for kind in reversed([each for each in settings.__mro__ if is_dataclass(each)]):
        lines = inspect.getsource(kind).splitlines()
        (node,) = ast.parse("\n".join(lines)).body
        given = [field for field in node.body if isinstance(field, ast.AnnAssign)]
        found |= {ast.unparse(field.target): lines[field.end_lineno - 1].partition("  # ")[2] for field in given}
    return found


def _default(field: Field) -> str:
    """As one writes it into a file."""
    value = field.default if field.default_factory is MISSING else field.default_factory()
    if value is MISSING:
        return "required"
    if is_dataclass(value):
        return "its defaults"
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return f"`{written.splitlines()[0]}`"


def _kind(hint: Any) -> str:
    """A type in words; of a choice what there is to choose from."""
    inner = [_kind(part) for part in get_args(hint) if get_origin(hint) is not Literal]
    match get_origin(hint):
        case None:
            return NAMES.get(hint) or hint.__name__
        case origin if origin is Literal:
            return ", ".join(map(str, get_args(hint)))
        case origin if origin in (Union, UnionType):
            return " or ".join(inner)
        case origin if origin is dict:
            return "{" + ": ".join(inner) + "}"
    return "[" + ", ".join(inner) + "]"
