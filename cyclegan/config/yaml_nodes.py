"""YAML text as nodes that know their place, with our own rules for scalars; refusals name file, line and column."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NoReturn

import yaml

from cyclegan.errors import ConfigError

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


class Loader(yaml.SafeLoader):
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
            refuse(event, self.path, "aliases, anchors and tags (* & !) are not supported; quote it if it is text")
        if len(self.path) > MAX_DEPTH + 1:
            refuse(event, self.path, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.ScalarEvent) and re.search("[\0\ud800-\udc7f\udd00-\udfff]", event.value):
            refuse(event, self.path, "contains a character that no file can hold")
        node = super().compose_node(parent, index)
        self.path.pop()
        return node


class Dumper(yaml.SafeDumper):
    """Dumper that quotes every text that we, or YAML 1.1, would read as something else."""


Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1's
Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_data(str(path)))
Dumper.add_representer(str, lambda dumper, s: dumper.represent_scalar(STR, s, style=None if s.isprintable() else '"'))
for _tag, _pattern in UNQUOTED.items():
    Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), None)
    Dumper.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), None)


def compose(text: str, name: str, path: Sequence[str] = ()) -> yaml.Node:
    """Parse a YAML text into nodes."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        refuse(end_of("", name), path, f"larger than {MAX_BYTES:,} bytes; this is no settings file")
    bad = Loader.NON_PRINTABLE.search(text)
    if bad:
        refuse(end_of(text[: bad.start()], name), path, f"{bad[0]!r} is no character of a text file saved as UTF-8")
    loader = Loader(text, name, path)
    try:
        return loader.get_single_node() or refuse(end_of("", name), path, "is empty")
    except yaml.MarkedYAMLError as error:
        refuse(error.problem_mark or loader.get_mark(), loader.path, f"not YAML: {one_line(str(error.problem))}")
    except (ValueError, OverflowError):  # PyYAML's own on "\UFFFFFFFF" and on an endless %YAML version
        refuse(loader.get_mark(), loader.path, "not YAML: the number is too large")


def override(root: yaml.Node, change: str) -> None:
    """Apply `--set a.b=c`: put the nodes of c at a.b."""
    dotted, equals, text = change.partition("=")
    path, start = dotted.split("."), end_of("", f"--set {change}")
    if not equals or not all(path) or len(path) > MAX_DEPTH:
        refuse(start, (), "expected key=value, as in --set training.steps=100")
    if not text.strip():
        refuse(start, path, f"no value; if none is meant, --set {one_line(dotted)}=null")
    _splice(root, path, compose(text, start.name, path), path)


def _splice(node: yaml.Node | None, keys: Sequence[str], value: yaml.Node, path: Sequence[str]) -> yaml.Node:
    """Return the node with the value put where the keys lead, through new mappings if need be."""
    if not keys:
        return value
    (key, *rest), mark = keys, value.start_mark
    node = node or yaml.MappingNode(MAP, [], mark)
    is_mapping = isinstance(node, yaml.MappingNode)
    for at, (name, old) in enumerate(children(node)):
        if RENAMED.get(name, name) == RENAMED.get(key, key):
            new = _splice(old, rest, value, path)
            node.value[at] = (node.value[at][0], new) if is_mapping else new
            return node
    if not is_mapping:
        hint = ", counted from 0" if isinstance(node, yaml.SequenceNode) else ""
        refuse(value, path, f"there is no {one_line(key)} in {shown(node)}{hint}")
    node.value.append((yaml.ScalarNode(STR, key, mark), _splice(None, rest, value, path)))
    return node


def children(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    """List the items of a mapping or a list by key or position; a scalar has none."""
    if isinstance(node, yaml.SequenceNode):
        return [(str(i), item) for i, item in enumerate(node.value)]
    return [(str(key.value), item) for key, item in node.value] if isinstance(node, yaml.MappingNode) else []


def as_mapping(node: yaml.Node, path: Sequence[str]) -> yaml.MappingNode:
    """Return a node that is a mapping; refuse any other."""
    if not isinstance(node, yaml.MappingNode):
        refuse(node, path, f"expected a mapping (key: value), got {shown(node)}")
    return node


def shown(node: yaml.Node, length: int = 60) -> str:
    """Return what a message says of a node: a scalar as written, the kind and size of a collection."""
    if isinstance(node, yaml.ScalarNode):
        return one_line(repr(node.value) if node.tag == STR else node.value or "null", length)
    return f"a {'mapping' if isinstance(node, yaml.MappingNode) else 'list'} of {len(node.value)}"


def one_line(text: str, length: int = 100) -> str:
    """Shorten a text to one line without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:length]) + "…" * (len(text) > length)


def end_of(text: str, name: str) -> yaml.Mark:
    """Return the place after the last character of a text."""
    return yaml.Mark(name, len(text), text.count("\n"), len(text) - text.rfind("\n") - 1, None, 0)


def refuse(place: yaml.Mark | yaml.Node | yaml.Event, path: Sequence[str], problem: str) -> NoReturn:
    """Raise ConfigError with the place, the dotted path and the problem."""
    mark: Any = getattr(place, "start_mark", place)
    where = mark.name if mark.name.startswith("--set ") else f"{mark.name}:{mark.line + 1}:{mark.column + 1}"
    raise ConfigError(": ".join(filter(None, (one_line(where, 300), one_line(".".join(filter(None, path))), problem))))
