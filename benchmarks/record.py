"""What was measured on a device, in one JSON and one Markdown file; every benchmark has a section of its own.

Each section says with which commit and PyTorch it was made, so that one benchmark can be run again without the others.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paired import Table, markdown

from cyclegan.training.atomic import replace_text

LEGEND = (
    "Seconds: the median. Ratio: seconds of the first variant over those of this one, the median over rounds in which "
    "all variants take turns, and its quartiles. Quiet: rounds in which other processes used at most 5 % of the cores; "
    "busy: there were fewer than three of these, so that all count. Agreement: with the result of the first."
)


def save(stem: Path, device: str, name: str, made: Mapping[str, Any], tables: Sequence[Table]) -> list[Path]:
    """Put the section of one benchmark in place of its older one; the other sections stay as they are."""
    page, data = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("md", "json"))
    sections = json.loads(data.read_text()).get("benchmarks", {}) if data.exists() else {}
    sections[name] = {**made, "tables": [table.as_data() for table in tables]}
    stem.parent.mkdir(parents=True, exist_ok=True)
    content = {"device": device, "benchmarks": sections}
    replace_text(data, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    parts = [f"# Speed on {device}", LEGEND, *(_section(*pair) for pair in sections.items())]
    replace_text(page, "\n\n".join(parts) + "\n")
    return [page, data]


def _section(name: str, found: Mapping[str, Any]) -> str:
    tables = [markdown(Table.from_data(table)) for table in found["tables"]]
    made = f"PyTorch {found['torch']}, {found['threads']} threads, commit {found['commit']}"
    return "\n\n".join([f"## {name}", f"{made}; `make bench ARGS={name}` measures it again.", *tables])
