"""Report of a comparison: numbers as JSON, tables, an image grid, and one self-contained page.

compare.json   every number, unrounded, and its provenance
compare.md     the tables and the image grid
grid.png       source | translations, one row for each image
index.html     tables and images in one file
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import printable, with_filename
from cyclegan.evaluation import html
from cyclegan.evaluation.comparison import Comparison, Result
from cyclegan.evaluation.image_grid import image_grid
from cyclegan.evaluation.markdown import as_markdown, in_markdown
from cyclegan.evaluation.report import in_bold
from cyclegan.evaluation.timing import Timing
from cyclegan.images.rgb8 import write_picture

SOURCE = "source"  # title of the first column of the grid
FAILED = "failed"
SHOWN = 12  # rows of the grid
GRID = "![Image grid](grid.png)"


def save_comparison(folder: Path, comparison: Comparison, provenance: Mapping[str, Any]) -> None:
    """Write compare.json, compare.md, grid.png and index.html; the name of the folder is the title."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {SOURCE: comparison.sources}
    shown |= {name: result.pictures for name, result in comparison.results.items() if result.pictures}
    few = {name: pictures[:SHOWN] for name, pictures in shown.items()}
    write_picture(folder / "grid.png", image_grid(few))
    texts = {
        "compare.json": json.dumps(comparison_as_json(comparison, provenance), indent=1, ensure_ascii=False) + "\n",
        "compare.md": "\n\n".join([f"# {folder.name}", summary(comparison), GRID]) + "\n",
        "index.html": _page(folder.name, comparison, few),
    }
    for name, text in texts.items():
        with with_filename(folder / name):
            (folder / name).write_text(printable(text), encoding="utf-8")


def summary(comparison: Comparison) -> str:
    """Format costs, errors, metrics, failure modes and how they were measured, in Markdown."""
    parts, metrics = [as_markdown(table(comparison)), *failed(comparison)], comparison.metrics
    if metrics:
        parts += [
            in_markdown(metrics.tables()),
            *in_bold("Failure", metrics.messages()),
            *metrics.not_run_lines(),
        ]
    return "\n\n".join([*parts, *notes(comparison)])


def comparison_as_json(comparison: Comparison, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return every number of the tables, unrounded, and its provenance."""
    return {
        "provenance": dict(provenance),
        "device": comparison.device,
        "images": [str(path) for path in comparison.images],
        "rows": {name: _as_json(result) for name, result in comparison.results.items()},
        "metrics": comparison.metrics.as_json() if comparison.metrics else {},
    }


def table(comparison: Comparison) -> list[list[str]]:
    """Return the costs of each translator as text: head and rows."""
    timed = comparison.timed
    head = [
        "",
        *(f"s per image, {size} px" for size in timed),
        *(f"memory, {size} px" for size in timed[-1:]),
    ]
    head += ["parameters", "training images", "training hours", "style images", "pretrained weights"]
    return [head, *([name, *_cells(result, comparison)] for name, result in comparison.results.items())]


def notes(comparison: Comparison) -> list[str]:
    """Describe in sentences how everything was measured."""
    how = (
        f"On {comparison.device}. Seconds: median after a warm-up, for one square image that is already "
        "decoded. Memory: peak of the first translation beyond what was in use before it, so without weights "
        "that are loaded."
    )
    return [how, *(comparison.metrics.notes() if comparison.metrics else [])]


def failed(comparison: Comparison) -> list[str]:
    """Return one sentence for each translator that failed."""
    return [f"{name} failed: {result.error}" for name, result in comparison.results.items() if result.error]


def _page(title: str, comparison: Comparison, shown: Mapping[str, Sequence[np.ndarray]]) -> str:
    sections, metrics = (
        [html.numbers(table(comparison)), html.messages(failed(comparison))],
        comparison.metrics,
    )
    if metrics:
        sections += [html.assessed(metrics), html.paragraphs(metrics.not_run_lines())]
    captions = [path.stem for path in comparison.images[:SHOWN]]
    text = html.paragraphs(notes(comparison))
    return html.page(title, *sections, html.heading("Images"), html.pictures(shown, captions), text)


def _as_json(result: Result) -> dict[str, Any]:
    return {
        **asdict(result.cost),
        "timings": {str(size): timing._asdict() for size, timing in result.timings.items()},
        "error": result.error,
    }


def _cells(result: Result, comparison: Comparison) -> list[str]:
    timings = [result.timings.get(size) for size in comparison.timed]
    costs = [*map(_seconds, timings), *map(_memory, timings[-1:])]
    return [*costs, *map(_cost, asdict(result.cost).values())]


def _cost(value: int | float | tuple[str, ...] | None) -> str:
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
    return _cost(None) if timing.memory is None else f"{timing.memory / 1e6:,.0f} MB"


def _digits(value: float) -> str:
    """Format with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")
