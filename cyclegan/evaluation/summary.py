"""What a comparison leaves behind: numbers for programs, a table for readers, pictures for the eye, one page to send.

compare.json   every number, unrounded, and where it comes from
compare.md     the table and the wall
wall.png       source | translations, one row for each picture
index.html     table and pictures in one file
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import naming, printable
from cyclegan.evaluation import html
from cyclegan.evaluation.assessment import as_markdown, in_markdown
from cyclegan.evaluation.compare import Comparison, Result
from cyclegan.evaluation.timing import Timing
from cyclegan.evaluation.wall import wall
from cyclegan.pictures import write_picture

SOURCE = "source"  # title of the first column of the wall
FAILED = "failed"
SHOWN = 12  # pictures of the wall
WALL = "![The picture wall](wall.png)"


def save_comparison(folder: Path, comparison: Comparison, provenance: Mapping[str, Any]) -> None:
    """Write compare.json, compare.md, wall.png and index.html; the folder's name is the title."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {SOURCE: comparison.sources}
    shown |= {name: result.pictures for name, result in comparison.results.items() if result.pictures}
    few = {name: pictures[:SHOWN] for name, pictures in shown.items()}
    write_picture(folder / "wall.png", wall(few))
    texts = {
        "compare.json": json.dumps(as_json(comparison, provenance), indent=1, ensure_ascii=False) + "\n",
        "compare.md": "\n\n".join([f"# {folder.name}", summary(comparison), WALL]) + "\n",
        "index.html": _page(folder.name, comparison, few),
    }
    for name, text in texts.items():
        with naming(folder / name):
            (folder / name).write_text(printable(text), encoding="utf-8")


def summary(comparison: Comparison) -> str:
    """Costs and metrics in Markdown, who failed, what alarms, and what the tables mean."""
    assessment = comparison.assessment
    parts = [as_markdown(table(comparison)), *failures(comparison)]
    if assessment:
        parts += [in_markdown(assessment.tables()), *(f"**Alarm.** {said}" for said in assessment.heard())]
        parts += assessment.gaps()
    return "\n\n".join([*parts, *notes(comparison)])


def as_json(comparison: Comparison, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Every number of the tables, unrounded, and where it comes from."""
    return {
        "provenance": dict(provenance),
        "device": comparison.device,
        "images": [str(path) for path in comparison.images],
        "rows": {name: _as_json(result) for name, result in comparison.results.items()},
        "metrics": comparison.assessment.as_json() if comparison.assessment else {},
    }


def table(comparison: Comparison) -> list[list[str]]:
    """What each translator costs: the head and a row for each, as text."""
    timed = comparison.timed
    head = ["", *(f"s per image, {size} px" for size in timed), *(f"memory, {size} px" for size in timed[-1:])]
    head += ["parameters", "training images", "training hours", "style images", "pretrained weights"]
    return [head, *([name, *_cells(result, comparison)] for name, result in comparison.results.items())]


def notes(comparison: Comparison) -> list[str]:
    """What the table means."""
    said = (
        f"On {comparison.device}. Seconds: median after a warm-up, for one square picture that is already decoded. "
        "Memory: what the first translation adds at its peak; weights that are already loaded do not count."
    )
    return [said, *(comparison.assessment.notes() if comparison.assessment else [])]


def failures(comparison: Comparison) -> list[str]:
    """A sentence for each translator that failed."""
    return [f"{name} failed: {result.error}" for name, result in comparison.results.items() if result.error]


def _page(title: str, comparison: Comparison, shown: Mapping[str, Sequence[np.ndarray]]) -> str:
    assessment = comparison.assessment
    sections = [html.numbers(table(comparison)), html.alarms(failures(comparison))]
    if assessment:
        sections += [html.assessed(assessment), html.paragraphs(assessment.gaps())]
    captions = [path.stem for path in comparison.images[:SHOWN]]
    said = html.paragraphs(notes(comparison))
    return html.page(title, *sections, html.heading("Pictures"), html.pictures(shown, captions), said)


def _as_json(result: Result) -> dict[str, Any]:
    return {
        **asdict(result.facts),
        "timings": {str(size): timing._asdict() for size, timing in result.timings.items()},
        "error": result.error,
    }


def _cells(result: Result, comparison: Comparison) -> list[str]:
    timings = [result.timings.get(size) for size in comparison.timed]
    costs = [*map(_seconds, timings), *map(_memory, timings[-1:])]
    return [*costs, *map(_fact, asdict(result.facts).values())]


def _fact(value: int | float | tuple[str, ...] | None) -> str:
    if value is None:
        return "not known"
    if not value:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else _digits(value)


def _seconds(timing: Timing | None) -> str:
    if timing is None:
        return FAILED
    return _digits(timing.seconds) if timing.seconds >= 0.001 else "< 0.001"


def _memory(timing: Timing | None) -> str:
    if timing is None:
        return FAILED
    return _fact(None) if timing.memory is None else f"{timing.memory / 1e6:,.0f} MB"


def _digits(value: float) -> str:
    """Three of them that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
