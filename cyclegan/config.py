"""Strict reading of YAML into frozen dataclasses: a file means exactly what it says.

Any other file is refused with one line that reports what is wrong.

Types      bool, int, float, str, Path (~ is expanded), Literal, X | None, tuple[T, ...], tuple[T, T],
           dict[str, T], dataclasses, and unions of these told apart by their `name: Literal[...]`. Defaults
           are the dataclasses'. Annotated[Any, Variants(...)] is an open union: only the module of the given
           name is imported, after all other keys of its mapping have been read.
Errors     `file:line:column: dotted.path: what is wrong`, or `--set a.b=c: a.b: what is wrong`. Text that is
           not YAML is reported first, then the first mistake in file order; keys that a mapping lacks come
           after the mistakes in it.
Differs    from PyYAML: 2e-4 and 1e3 are floats; no, yes, on, off, 08 and .nan are text; a key given twice, an
           alias, an anchor, a merge key and a tag are refused.
"""

import dataclasses
import difflib
import math
import re
import sys
import types
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from cyclegan.errors import ConfigError, expanded

T = TypeVar("T")
MAX_BYTES, MAX_DEPTH = 200_000, 20
NULL, BOOL, INT, FLOAT, STR, MERGE, MAP = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "merge", "map")
)
UNQUOTED = {  # what a scalar without quotes is, if not text
    NULL: r"~|null|",
    BOOL: r"true|false",
    INT: r"[-+]?(0|[1-9][0-9_]*)",
    FLOAT: r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+",
    MERGE: r"<<",
}
RENAMED = {  # keys of older files -> their present names; where the old one is unknown, it is read as the new one
    "on_bad_picture": "on_bad_image",
    "most_bad": "max_bad_fraction",
    "constant_share": "constant_fraction",
    "recompute": "activation_checkpointing",
    "keep": "keep_checkpoints",
    "every": "update_every",
    "ends": "stem",
    "licence": "license",
    "ramp": "anneal",
    "start": "residual_output",
}
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


def load(path: Path, kind: type[T] | types.UnionType | Variants, overrides: Sequence[str] = ()) -> T:
    """Read the dataclass, or the variant, that a YAML file describes, changed by `a.b=c` overrides."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode(errors="surrogateescape")  # refused with its place by _compose
    except OSError as error:
        near = difflib.get_close_matches(path.name, sorted(other.name for other in path.parent.glob("*.yaml")))
        names = " or ".join(str(path.with_name(name)) for name in near)
        remedy = f"did you mean {names}?" if near else "give the path of a YAML file"
        raise ConfigError(f"{path}: {error.strerror}; {remedy}") from None
    return parse(text, kind, str(path), overrides)


def parse(text: str, kind: type[T] | types.UnionType | Variants, name: str, overrides: Sequence[str] = ()) -> T:
    """Read the dataclass that a YAML text describes; `name` stands for the file in messages."""
    root = _mapping(_compose(text, name), ())
    for override in overrides:
        _override(root, override)
    return _build(root, kind, ())


def dump(value: Any) -> str:
    """Write every field of a dataclass as YAML text; `parse` gives an equal dataclass back."""
    return yaml.dump(dataclasses.asdict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


def difference(old: str, new: str, name: str = "old") -> list[str]:
    """List the changes between two dumped dataclasses: `training.steps: 100 → 200`.

    `name` is the file of the old one.
    """
    before, after = dict(_leaves(_compose(old, name))), dict(_leaves(_compose(new, "new")))
    changed = [path for path in before | after if before.get(path) != after.get(path)]
    return [f"{path}: {before.get(path, 'absent')} → {after.get(path, 'absent')}" for path in changed]


class _Loader(yaml.SafeLoader):
    """Loader with our own rules for unquoted scalars; it refuses surprising or dangerous features of YAML."""

    def __init__(self, text: str, name: str, path: Sequence[str]) -> None:
        super().__init__(text)
        self.name = name
        self.path = list(path)  # of the node being composed; the root and a key have no name

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node.

        `index` is the key in a mapping, the position in a list, None for the root and for keys.
        """
        key = index.value if isinstance(index, yaml.Node) else index
        self.path.append(str(key) if isinstance(key, str | int) else "")
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
            _refuse(event, self.path, "aliases, anchors and tags (* & !) are not supported; quote it if it is text")
        if len(self.path) > MAX_DEPTH + 1:
            _refuse(event, self.path, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent) and re.search("[\0\ud800-\udc7f\udd00-\udfff]", event.value):
            _refuse(event, self.path, "contains a character that no file can hold")
        node = super().compose_node(parent, index)
        self.path.pop()
        return node


class _Dumper(yaml.SafeDumper):
    """Dumper that quotes every text that we, or YAML 1.1, would read as something else."""


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1's
_Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_data(str(path)))
_Dumper.add_representer(str, lambda dumper, s: dumper.represent_scalar(STR, s, style=None if s.isprintable() else '"'))
for _tag, _pattern in UNQUOTED.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), None)
    _Dumper.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), None)


def _compose(text: str, name: str, path: Sequence[str] = ()) -> yaml.Node:
    """Parse a YAML text into nodes."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        _refuse(_end_of("", name), path, f"larger than {MAX_BYTES:,} bytes; this is no settings file")
    bad = _Loader.NON_PRINTABLE.search(text)
    if bad:
        _refuse(_end_of(text[: bad.start()], name), path, f"{bad[0]!r} is no character of a text file saved as UTF-8")
    loader = _Loader(text, name, path)
    try:
        return loader.get_single_node() or _refuse(_end_of("", name), path, "is empty")
    except yaml.MarkedYAMLError as error:
        _refuse(error.problem_mark or loader.get_mark(), loader.path, f"not YAML: {_short(str(error.problem))}")
    except (ValueError, OverflowError):  # PyYAML's own on "\UFFFFFFFF" and on an endless %YAML version
        _refuse(loader.get_mark(), loader.path, "not YAML: the number is too large")


def _override(root: yaml.Node, override: str) -> None:
    """Apply `--set a.b=c`: put the nodes of c at a.b."""
    dotted, equals, text = override.partition("=")
    path, start = dotted.split("."), _end_of("", f"--set {override}")
    if not equals or not all(path) or len(path) > MAX_DEPTH:
        _refuse(start, (), "expected key=value, as in --set training.steps=100")
    if not text.strip():
        _refuse(start, path, f"no value; if none is meant, --set {_short(dotted)}=null")
    _splice(root, path, _compose(text, start.name, path), path)


def _splice(node: yaml.Node | None, keys: Sequence[str], value: yaml.Node, path: Sequence[str]) -> yaml.Node:
    """Return the node with the value put where the keys lead, through new mappings if need be."""
    if not keys:
        return value
    (key, *rest), mark = keys, value.start_mark
    node = node or yaml.MappingNode(MAP, [], mark)
    is_mapping = isinstance(node, yaml.MappingNode)
    for at, (name, old) in enumerate(_children(node)):
        if RENAMED.get(name, name) == RENAMED.get(key, key):
            new = _splice(old, rest, value, path)
            node.value[at] = (node.value[at][0], new) if is_mapping else new
            return node
    if not is_mapping:
        hint = ", counted from 0" if isinstance(node, yaml.SequenceNode) else ""
        _refuse(value, path, f"there is no {_short(key)} in {_show(node)}{hint}")
    node.value.append((yaml.ScalarNode(STR, key, mark), _splice(None, rest, value, path)))
    return node


def _children(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    """List the items of a mapping or a list by key or position; a scalar has none."""
    if isinstance(node, yaml.SequenceNode):
        return [(str(i), item) for i, item in enumerate(node.value)]
    return [(str(key.value), item) for key, item in node.value] if isinstance(node, yaml.MappingNode) else []


def _build(node: yaml.Node, kind: Any, path: Sequence[str], default: Any = None) -> Any:
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
        return {key: _build(item, arguments[1], (*path, key)) for key, item in _entries(node, path)}
    return _scalar(node, kind, path)


def _dataclass(node: yaml.Node, kind: Any, path: Sequence[str], default: Any) -> Any:
    base = default if type(default) is kind else kind
    hints, values, nodes = get_type_hints(kind, include_extras=True), {}, {}
    known = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    for key, item in _open_last(_entries(node, path, known), known):
        nodes[key] = item
        values[key] = _build(item, known[key], (*path, key), getattr(base, key, None))
    for field in dataclasses.fields(kind):
        if base is kind and field.name not in values and field.default is field.default_factory is dataclasses.MISSING:
            _refuse(node, (*path, field.name), "missing")
    try:
        return kind(**values) if base is kind else dataclasses.replace(default, **values)
    except ValueError as error:
        name, _, problem = str(error).partition(": ")
        if name not in known:
            _refuse(node, path, _short(str(error), 300))
        _refuse(nodes.get(name, node), (*path, name), _short(problem, 300))


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
    for key, item in _mapping(node, path).value:
        if key.tag == MERGE:
            _refuse(key, path, "the merge key << is not supported; write its keys out")
        if key.tag != STR:
            _refuse(key, path, f"a key must be text, got {_show(key)}")
        key, item = _renamed(key, item, path, known)
        if key.value in lines:
            _refuse(key, (*path, key.value), f"given twice (first at line {lines[key.value]})")
        if known is not None and key.value not in known:
            near = difflib.get_close_matches(key.value, known, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"the keys are {', '.join(known)}"
            _refuse(key, (*path, key.value), f"unknown key; {advice}")
        lines[key.value] = key.start_mark.line + 1
        yield key.value, item


def _renamed(key: yaml.Node, item: yaml.Node, path: Sequence[str], known: dict | None) -> tuple[yaml.Node, yaml.Node]:
    """Return an entry under its present name; if the name has changed, print one line about it."""
    new = RENAMED.get(key.value)
    if new is None or known is None or new not in known or key.value in known:
        return key, item
    where = _short(key.start_mark.name, 300)
    print(f"note: {where}: {'.'.join((*path, key.value))} is now called {new}", file=sys.stderr)
    value = RENAMED_VALUES.get(new, {}).get(item.value) if item.tag == STR else None
    if value is not None:
        item = yaml.ScalarNode(BOOL, value, item.start_mark, item.end_mark)
    return yaml.ScalarNode(key.tag, new, key.start_mark, key.end_mark), item


def _mapping(node: yaml.Node, path: Sequence[str]) -> yaml.MappingNode:
    if not isinstance(node, yaml.MappingNode):
        _refuse(node, path, f"expected a mapping (key: value), got {_show(node)}")
    return node


def _union(node: yaml.Node, kinds: Sequence[Any], path: Sequence[str], default: Any) -> Any:
    """Convert a node to X | None, or to one of several dataclasses told apart by their name."""
    if types.NoneType in kinds and node.tag == NULL:
        return None
    kinds = [kind for kind in kinds if kind is not types.NoneType]
    if len(kinds) == 1:
        return _build(node, kinds[0], path, default)
    by_name = {name: kind for kind in kinds for name in get_args(get_type_hints(kind)["name"])}
    given = [item for key, item in _children(_mapping(node, path)) if key == "name"]
    if not given and type(default) not in kinds:
        _refuse(node, (*path, "name"), f"missing; one of {', '.join(by_name)}")
    kind = by_name[_literal(given[0], list(by_name), (*path, "name"))] if given else type(default)
    return _build(node, kind, path, default)


def _variant(node: yaml.Node, variants: Variants, path: Sequence[str], default: Any) -> Any:
    """Convert a node to the dataclass of the given name, else of the default's name, else to the first."""
    first = getattr(default, "name", next(iter(variants.table)))
    given = [item for key, item in _children(_mapping(node, path)) if key == "name"]
    name = _literal(given[0], list(variants.table), (*path, "name")) if given else first
    return _build(node, variants[name], path, default)


def _tuple(node: yaml.Node, kinds: tuple[Any, ...], path: Sequence[str]) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        _refuse(node, path, f"expected a list [a, b], got {_show(node)}")
    count = len(node.value)
    kinds = kinds[:1] * count if kinds[-1] is ... else kinds
    if len(kinds) != count:
        _refuse(node, path, f"expected {len(kinds)} values, got {count}")
    return tuple(_build(node.value[i], kinds[i], (*path, str(i))) for i in range(count))


def _literal(node: yaml.Node, options: Sequence[Any], path: Sequence[str]) -> Any:
    value = _value(node, path)
    if not any(type(option) is type(value) and option == value for option in options):
        _refuse(node, path, f"{_show(node)} is not one of {', '.join(map(str, options))}")
    return value


def _scalar(node: yaml.Node, kind: Any, path: Sequence[str]) -> Any:
    value = _value(node, path)
    if type(value) is not kind and (type(value), kind) not in ((int, float), (str, Path)):
        remedy = "; put it in quotes" if kind in (str, Path) and node.tag in (BOOL, INT, FLOAT) else ""
        _refuse(node, path, f"expected {EXPECTED[kind]}, got {_show(node)}{remedy}")
    if kind is str and re.search("[\udc80-\udcff]", value):  # a byte that is not UTF-8, which paths may have
        _refuse(node, path, "contains a character that no file can hold")
    return expanded(value) if kind is Path else kind(value)


def _value(node: yaml.Node, path: Sequence[str]) -> Any:
    """Return a scalar as a Python value; the content of a list or mapping is left as nodes."""
    if node.tag in (NULL, BOOL):
        return node.value == "true" if node.tag == BOOL else None
    if node.tag not in (INT, FLOAT):
        return node.value
    digits = node.value.replace("_", "")
    if math.isinf(float(digits)) or (node.tag == INT and not -(2**63) <= int(digits) < 2**63):
        _refuse(node, path, f"{_show(node)} is too large")
    return int(digits) if node.tag == INT else float(digits)


def _leaves(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield every scalar and empty collection below a node, with its dotted path."""
    if not _children(node):
        yield ".".join(path), _show(node, MAX_BYTES)
    for key, item in _children(node):
        yield from _leaves(item, (*path, key))


def _show(node: yaml.Node, length: int = 60) -> str:
    if isinstance(node, yaml.ScalarNode):
        return _short(repr(node.value) if node.tag == STR else node.value or "null", length)
    return f"a {'mapping' if isinstance(node, yaml.MappingNode) else 'list'} of {len(node.value)}"


def _short(text: str, length: int = 100) -> str:
    """Shorten a text to one line without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:length]) + "…" * (len(text) > length)


def _end_of(text: str, name: str) -> yaml.Mark:
    return yaml.Mark(name, len(text), text.count("\n"), len(text) - text.rfind("\n") - 1, None, 0)


def _refuse(place: yaml.Mark | yaml.Node | yaml.Event, path: Sequence[str], problem: str) -> NoReturn:
    mark: Any = getattr(place, "start_mark", place)
    where = mark.name if mark.name.startswith("--set ") else f"{mark.name}:{mark.line + 1}:{mark.column + 1}"
    raise ConfigError(": ".join(filter(None, (_short(where, 300), _short(".".join(filter(None, path))), problem))))
