"""Record of the environment of each launch of a run, environment.json, extended when the environment changes.

On a CPU the bits of the weights are a function of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclegan.training.atomic import replace_text

DECISIVE = ("torch", "threads")  # what the last digits on a CPU depend on


def note_launch(path: Path, step: int, environment: Mapping[str, Any]) -> str | None:
    """Add the environment of this launch, from a step on, if it differs from the last one.

    Returns a sentence if the last digits of the results may change with it, else None.
    """
    known = _launches(path) if step else []
    if not known or {**known[-1], "step": step} != {**environment, "step": step}:
        replace_text(path, json.dumps([*known, {"step": step, **environment}], indent=2) + "\n")
    begun = known[0] if known else environment
    changed = [name for name in DECISIVE if begun.get(name) != environment.get(name)]
    listed = ", ".join(f"{name} {environment.get(name)} and not {begun.get(name)}" for name in changed)
    return f"{listed}, as when this run began: its last digits may become others ({path.name})" if changed else None


def _launches(path: Path) -> list[dict[str, Any]]:
    """Read the launches; the file of an older run holds only one, and a damaged file counts as none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    found = found if isinstance(found, list) else [found]
    return found if all(isinstance(launch, dict) for launch in found) else []
