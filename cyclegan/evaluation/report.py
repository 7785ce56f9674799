"""Report of an evaluation: numbers as JSON, tables, images, and one self-contained page.

evaluation.json   every number with its interval, its images, the id of its measurement, and its provenance
evaluation.md     the tables of each task
index.html        all of it in one file, with realism against content, and the images that keep the least and
                  the most of their content
<task>.png        source | translation | truth of eight images, if the truth is known
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import UserError, printable, with_filename
from cyclegan.evaluation import html
from cyclegan.evaluation.bootstrap import CONFIDENCE, RESAMPLES
from cyclegan.evaluation.image_grid import image_grid
from cyclegan.evaluation.markdown import as_markdown, in_markdown
from cyclegan.evaluation.results import Results
from cyclegan.images.rgb8 import write_picture
from cyclegan.metrics.cycle import CYCLE_PROTOCOL

EXTREMES = 4  # images that keep least of their content, and as many that keep most
INTERVAL = f"{CONFIDENCE} %, percentile bootstrap over images, {RESAMPLES} resamples, paired"


def save_report(folder: Path, results: Mapping[str, Results], provenance: Mapping[str, Any]) -> None:
    """Write evaluation.json, evaluation.md, index.html and sheets.

    results  by task, such as photo2painting
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "evaluation.json": json.dumps(results_as_json(results, provenance), indent=1, ensure_ascii=False) + "\n",
        "evaluation.md": "\n\n".join(_in_full(name, each) for name, each in results.items()) + "\n",
        "index.html": html.page(" and ".join(results), *(_section(name, each) for name, each in results.items())),
    }
    for name, text in texts.items():
        with with_filename(folder / name):
            (folder / name).write_text(printable(text), encoding="utf-8")
    for name, sheet in ((name, each.sheet()) for name, each in results.items()):
        if sheet:
            write_picture(folder / f"{name}.png", image_grid(sheet))


def as_text(results: Results) -> str:
    """Format failure modes, tables, and metrics that were not run, in Markdown."""
    return "\n\n".join(
        [*in_bold("Failure", results.messages()), in_markdown(results.tables()), *results.not_run_lines()]
    )


def in_bold(word: str, texts: Sequence[str]) -> list[str]:
    """Return paragraphs that begin with a word in bold."""
    return [f"**{word}.** {text}" for text in texts]


def results_as_json(results: Mapping[str, Results], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything needed to quote a number and to decide whether two numbers are comparable."""
    return {
        "provenance": dict(provenance),
        "interval": INTERVAL,
        "cycle": CYCLE_PROTOCOL,
        "tasks": {name: each.as_json() for name, each in results.items()},
    }


def over_runs(scores: Sequence[Mapping[str, float]]) -> str:
    """Compute mean and standard deviation over runs, such as several seeds, of every score they share.

    The result is Markdown. Raises UserError if the runs have no score in common.
    """
    shared = [name for name in scores[0] if all(name in each for each in scores)]
    if not shared:
        raise UserError("these runs have no score in common; give runs of one domain")
    rows = []
    for name in shared:
        values = np.array([each[name] for each in scores])
        rows.append([name, f"{values.mean():.4g} ± {values.std(ddof=1):.2g}", " ".join(f"{v:.4g}" for v in values)])
    return as_markdown([["", "mean ± sd", "each"], *rows])


def _in_full(name: str, results: Results) -> str:
    return "\n\n".join([f"## {name}", as_text(results), *results.notes()])


def _section(name: str, results: Results) -> str:
    parts = [html.heading(name), html.messages(results.messages())]
    parts += [html.heading(title) + html.numbers(table) for title, table in results.tables().items()]
    parts.append(html.plotted(results))
    by, best, worst = results.best_and_worst(results.shown, EXTREMES)
    for title, chosen in (
        (f"{results.shown}: keeps least, by {by}", worst),
        (f"{results.shown}: keeps most", best),
    ):
        if chosen:
            columns = {column: [shown[i] for i in chosen] for column, shown in results.pictures.items()}
            parts.append(html.heading(title) + html.pictures(columns, [results.captions[i] for i in chosen]))
    return "".join([*parts, html.paragraphs([*results.not_run_lines(), *results.notes()])])
