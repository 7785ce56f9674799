"""Typed values from YAML nodes: dataclasses, unions, tuples, dictionaries and scalars."""

import dataclasses
import difflib
import math
import re
import sys
import types
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from cyclegan.config.yaml_nodes import (
    BOOL,
    FLOAT,
    INT,
    MERGE,
    NULL,
    RENAMED,
    STR,
    as_mapping,
    children,
    one_line,
    refuse,
    shown,
)
from cyclegan.errors import expanded

RENAMED_VALUES = {"residual_output": {"identity": "true", "noise": "false"}}  # present key -> older values
EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


@dataclasses.dataclass(frozen=True)
class Variants:
    """Open union of dataclasses, told apart by `name`; the first is the default."""

    table: dict[str, str]  # name -> "module:dataclass"

    def __getitem__(self, name: str) -> Any:
        """Return the dataclass of a name; this imports its module."""
        module, _, attribute = self.table[name].partition(":")
        return getattr(import_module(module), attribute)

    def default(self) -> Any:
        """Return the first dataclass, with its own defaults."""
        return self[next(iter(self.table))]()


def build_value(node: yaml.Node, kind: Any, path: Sequence[str], default: Any = None) -> Any:
    """Convert a node to a value of the type.

    A partly given dataclass takes the rest from the default it replaces.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, Variants):
        return _variant(node, kind, path, default)
    if dataclasses.is_dataclass(kind):
        return _dataclass(node, kind, path, default)
    if _is_open(kind):
        return _variant(node, arguments[1], path, default)
    if origin in (Union, types.UnionType):
        return _union(node, arguments, path, default)
    if origin is Literal:
        return _literal(node, arguments, path)
    if origin is tuple:
        return _tuple(node, arguments, path)
    if origin is dict:
        return {key: build_value(item, arguments[1], (*path, key)) for key, item in _entries(node, path)}
    return _scalar(node, kind, path)


def _dataclass(node: yaml.Node, kind: Any, path: Sequence[str], default: Any) -> Any:
    base = default if type(default) is kind else kind
    hints, values, nodes = get_type_hints(kind, include_extras=True), {}, {}
    known = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    for key, item in _open_last(_entries(node, path, known), known):
        nodes[key] = item
        values[key] = build_value(item, known[key], (*path, key), getattr(base, key, None))
    for field in dataclasses.fields(kind):
        if base is kind and field.name not in values and field.default is field.default_factory is dataclasses.MISSING:
            refuse(node, (*path, field.name), "missing")
    try:
        return kind(**values) if base is kind else dataclasses.replace(default, **values)
    except ValueError as error:
        name, _, problem = str(error).partition(": ")
        if name not in known:
            refuse(node, path, one_line(str(error), 300))
        refuse(nodes.get(name, node), (*path, name), one_line(problem, 300))


def _is_open(kind: Any) -> bool:
    return get_origin(kind) is Annotated and isinstance(get_args(kind)[1], Variants)


def _open_last(entries: Iterator[tuple[str, yaml.Node]], kinds: dict[str, Any]) -> Iterator[tuple[str, yaml.Node]]:
    """Yield entries in file order, those of open unions last: their modules may take seconds to import."""
    waiting = []
    for key, item in entries:
        if _is_open(kinds[key]):
            waiting.append((key, item))
        else:
            yield key, item
    yield from waiting


def _entries(node: yaml.Node, path: Sequence[str], known: dict | None = None) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the keys and values of a mapping in file order; every key must be text, given once and known."""
    lines: dict[str, int] = {}
    for key, item in as_mapping(node, path).value:
        if key.tag == MERGE:
            refuse(key, path, "the merge key << is not supported; write its keys out")
        if key.tag != STR:
            refuse(key, path, f"a key must be text, got {shown(key)}")
        key, item = _renamed(key, item, path, known)
        if key.value in lines:
            refuse(key, (*path, key.value), f"given twice (first at line {lines[key.value]})")
        if known is not None and key.value not in known:
            near = difflib.get_close_matches(key.value, known, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"the keys are {', '.join(known)}"
            refuse(key, (*path, key.value), f"unknown key; {advice}")
        lines[key.value] = key.start_mark.line + 1
        yield key.value, item


def _renamed(key: yaml.Node, item: yaml.Node, path: Sequence[str], known: dict | None) -> tuple[yaml.Node, yaml.Node]:
    """Return an entry under its present name; if the name has changed, print one line about it."""
    new = RENAMED.get(key.value)
    if new is None or known is None or new not in known or key.value in known:
        return key, item
    where = one_line(key.start_mark.name, 300)
    print(f"note: {where}: {'.'.join((*path, key.value))} is now called {new}", file=sys.stderr)
    value = RENAMED_VALUES.get(new, {}).get(item.value) if item.tag == STR else None
    if value is not None:
        item = yaml.ScalarNode(BOOL, value, item.start_mark, item.end_mark)
    return yaml.ScalarNode(key.tag, new, key.start_mark, key.end_mark), item


def _union(node: yaml.Node, kinds: Sequence[Any], path: Sequence[str], default: Any) -> Any:
    """Convert a node to X | None, or to one of several dataclasses told apart by their name."""
    if types.NoneType in kinds and node.tag == NULL:
        return None
    kinds = [kind for kind in kinds if kind is not types.NoneType]
    if len(kinds) == 1:
        return build_value(node, kinds[0], path, default)
    by_name = {name: kind for kind in kinds for name in get_args(get_type_hints(kind)["name"])}
    given = [item for key, item in children(as_mapping(node, path)) if key == "name"]
    if not given and type(default) not in kinds:
        refuse(node, (*path, "name"), f"missing; one of {', '.join(by_name)}")
    kind = by_name[_literal(given[0], list(by_name), (*path, "name"))] if given else type(default)
    return build_value(node, kind, path, default)


def _variant(node: yaml.Node, variants: Variants, path: Sequence[str], default: Any) -> Any:
    """Convert a node to the dataclass of the given name, else of the default's name, else to the first."""
    first = getattr(default, "name", next(iter(variants.table)))
    given = [item for key, item in children(as_mapping(node, path)) if key == "name"]
    name = _literal(given[0], list(variants.table), (*path, "name")) if given else first
    return build_value(node, variants[name], path, default)


def _tuple(node: yaml.Node, kinds: tuple[Any, ...], path: Sequence[str]) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        refuse(node, path, f"expected a list [a, b], got {shown(node)}")
    count = len(node.value)
    kinds = kinds[:1] * count if kinds[-1] is ... else kinds
    if len(kinds) != count:
        refuse(node, path, f"expected {len(kinds)} values, got {count}")
    return tuple(build_value(node.value[i], kinds[i], (*path, str(i))) for i in range(count))


def _literal(node: yaml.Node, options: Sequence[Any], path: Sequence[str]) -> Any:
    value = _value(node, path)
    if not any(type(option) is type(value) and option == value for option in options):
        refuse(node, path, f"{shown(node)} is not one of {', '.join(map(str, options))}")
    return value


def _scalar(node: yaml.Node, kind: Any, path: Sequence[str]) -> Any:
    value = _value(node, path)
    if type(value) is not kind and (type(value), kind) not in ((int, float), (str, Path)):
        remedy = "; put it in quotes" if kind in (str, Path) and node.tag in (BOOL, INT, FLOAT) else ""
        refuse(node, path, f"expected {EXPECTED[kind]}, got {shown(node)}{remedy}")
    if kind is str and re.search("[\udc80-\udcff]", value):  # a byte that is not UTF-8, which paths may have
        refuse(node, path, "contains a character that no file can hold")
    return expanded(value) if kind is Path else kind(value)


def _value(node: yaml.Node, path: Sequence[str]) -> Any:
    """Return a scalar as a Python value; the content of a list or mapping is left as nodes."""
    if node.tag in (NULL, BOOL):
        return node.value == "true" if node.tag == BOOL else None
    if node.tag not in (INT, FLOAT):
        return node.value
    digits = node.value.replace("_", "")
    if math.isinf(float(digits)) or (node.tag == INT and not -(2**63) <= int(digits) < 2**63):
        refuse(node, path, f"{shown(node)} is too large")
    return int(digits) if node.tag == INT else float(digits)
