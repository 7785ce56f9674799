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
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from cyclegan.config.typed_values import Variants, build_value
from cyclegan.config.yaml_nodes import MAX_BYTES, MAX_DEPTH, Dumper, as_mapping, children, compose, override, shown
from cyclegan.errors import ConfigError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Variants", "difference", "dump", "load", "parse"]

T = TypeVar("T")


def load(path: Path, kind: type[T] | types.UnionType | Variants, overrides: Sequence[str] = ()) -> T:
    """Read the dataclass, or the variant, that a YAML file describes, changed by `a.b=c` overrides."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode(errors="surrogateescape")  # refused with its place by compose
    except OSError as error:
        near = difflib.get_close_matches(path.name, sorted(other.name for other in path.parent.glob("*.yaml")))
        names = " or ".join(str(path.with_name(name)) for name in near)
        remedy = f"did you mean {names}?" if near else "give the path of a YAML file"
        raise ConfigError(f"{path}: {error.strerror}; {remedy}") from None
    return parse(text, kind, str(path), overrides)


def parse(text: str, kind: type[T] | types.UnionType | Variants, name: str, overrides: Sequence[str] = ()) -> T:
    """Read the dataclass that a YAML text describes; `name` stands for the file in messages."""
    root = as_mapping(compose(text, name), ())
    for change in overrides:
        override(root, change)
    return build_value(root, kind, ())


def dump(value: Any) -> str:
    """Write every field of a dataclass as YAML text; `parse` gives an equal dataclass back."""
    return yaml.dump(dataclasses.asdict(value), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


def difference(old: str, new: str, name: str = "old") -> list[str]:
    """List the changes between two dumped dataclasses: `training.steps: 100 → 200`.

    `name` is the file of the old one.
    """
    before, after = dict(_leaves(compose(old, name))), dict(_leaves(compose(new, "new")))
    changed = [path for path in before | after if before.get(path) != after.get(path)]
    return [f"{path}: {before.get(path, 'absent')} → {after.get(path, 'absent')}" for path in changed]


def _leaves(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield every scalar and empty collection below a node, with its dotted path."""
    if not children(node):
        yield ".".join(path), shown(node, MAX_BYTES)
    for key, item in children(node):
        yield from _leaves(item, (*path, key))
