"""What an evaluation leaves behind: numbers for programs, tables for readers, pictures for the eye, one page to send.

evaluation.json   every number with its interval, its images and its protocol, and where it comes from
evaluation.md     the tables of each direction: against the truth, where it is known, and without it
index.html        the same in one file, with realism against content and the pictures that lost most and least
sheet             eight test images, evenly spaced: source | translation | truth
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

from cyclegan.errors import naming, printable
from cyclegan.evaluation import html
from cyclegan.evaluation.assessment import Assessment, as_markdown, in_markdown
from cyclegan.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Estimate, bootstrap
from cyclegan.evaluation.evaluate import METRICS, Evaluation, Metric, Row, translate_file
from cyclegan.evaluation.instruments import Pictures
from cyclegan.images import from_bytes, grid, read
from cyclegan.metrics.cycle import CYCLE_PROTOCOL, WAYS, Cycle
from cyclegan.protocols import Images, Translator

SHOWN = 8  # rows of the picture sheet
EXTREMES = 4  # pictures that lost most, and as many that lost least
SMALL = 160  # px of height: lower pictures are doubled


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """One direction."""

    assessment: Assessment
    pictures: Mapping[str, Pictures]  # "source" and all translations, by the names of their rows
    captions: Sequence[str]
    shown: str  # the row whose best and worst pictures are shown
    evaluation: Evaluation | None = None  # where the truth is known
    cycles: Mapping[str, Sequence[Cycle]] = field(default_factory=dict)  # row -> one for each image
    removed: int = 0  # test pictures that were nearly some of the training, on both sides
    remembered: int = 0  # likewise, but scored all the same, as there are no others

    def tables(self) -> dict[str, list[list[str]]]:
        """By question."""
        asked = {} if self.evaluation is None else {"Is it the right translation?": paired_table(self.evaluation)}
        asked |= self.assessment.tables()
        if self.cycles:
            asked["Does it come back?"] = _cycle_table(self.cycles)
        return asked

    def notes(self) -> list[str]:
        """What the tables mean."""
        said = [] if self.evaluation is None else [_paired_note(self.evaluation)]
        said += self.assessment.notes()
        if self.removed:
            said.append(f"{self.removed} test pictures that are nearly pictures of the training were left out.")
        if self.remembered:
            said.append(
                f"{self.remembered} test pictures are nearly pictures of the training, and no others are on their "
                "side: these numbers tell how well it remembers."
            )
        return [*said, f"Coming back: {CYCLE_PROTOCOL}."] if self.cycles else said


def save_report(folder: Path, reports: Mapping[str, Report], provenance: Mapping[str, Any]) -> None:
    """Write evaluation.json, evaluation.md and index.html; `reports` are named by direction, as in photo2painting."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "evaluation.json": json.dumps(as_json(reports, provenance), indent=1, ensure_ascii=False) + "\n",
        "evaluation.md": "\n\n".join(_described(name, report) for name, report in reports.items()) + "\n",
        "index.html": html.page(" and ".join(reports), *(_section(name, report) for name, report in reports.items())),
    }
    for name, text in texts.items():
        with naming(folder / name):
            (folder / name).write_text(printable(text), encoding="utf-8")


def as_text(report: Report) -> str:
    """Alarms and tables of a direction in Markdown, and what was not run."""
    alarms = [f"**Alarm.** {said}" for said in report.assessment.heard()]
    return "\n\n".join([*alarms, in_markdown(report.tables()), *report.assessment.gaps()])


def as_json(reports: Mapping[str, Report], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is needed to quote a number, and to see whether two numbers may be compared."""
    return {
        "provenance": dict(provenance),
        "protocol": {name: metric.protocol for name, metric in METRICS.items()}
        | {"interval": f"{CONFIDENCE} %, percentile bootstrap over images, {RESAMPLES} resamples, paired"}
        | {"cycle": CYCLE_PROTOCOL},
        "directions": {direction: _direction(report) for direction, report in reports.items()},
    }


def as_table(evaluation: Evaluation) -> str:
    """The rows against the truth in Markdown, with one column for each metric."""
    return f"{as_markdown(paired_table(evaluation))}\n\n{_paired_note(evaluation)}\n"


def paired_table(evaluation: Evaluation) -> list[list[str]]:
    """The head and a row for each translator, as text."""
    head = ["", *(f"{metric.title} [{CONFIDENCE} %]" for metric in METRICS.values())]
    cells = ([_cell(row.estimates[key], metric) for key, metric in METRICS.items()] for row in evaluation.rows.values())
    return [head, *([name, *row] for name, row in zip(evaluation.rows, cells, strict=True))]


def sheet(translator: Translator, sources: Sequence[Path], truths: Sequence[Path]) -> Float[Tensor, "1 3 h w"]:
    """Eight test images, evenly spaced, one for each row: source | translation | truth."""
    chosen = np.linspace(0, len(sources) - 1, min(SHOWN, len(sources))).round().astype(int)
    columns = (
        [read(sources[i]) for i in chosen],
        [from_bytes(translate_file(translator, sources[i])) for i in chosen],
        [read(truths[i]) for i in chosen],
    )
    height, width = (max(image.shape[axis] for column in columns for image in column) for axis in (2, 3))
    return grid([torch.cat([_framed(image, height, width) for image in column]) for column in columns], gap=4)


def _described(name: str, report: Report) -> str:
    return "\n\n".join([f"## {name}", as_text(report), *report.notes()])


def _section(name: str, report: Report) -> str:
    parts = [html.heading(name), html.alarms(report.assessment.heard())]
    parts += [html.heading(question) + html.numbers(table) for question, table in report.tables().items()]
    parts.append(html.plotted(report.assessment))
    by, worst, best = report.assessment.extremes(report.shown, EXTREMES)
    for title, chosen in ((f"{report.shown}: lost most, by {by}", worst), (f"{report.shown}: kept most", best)):
        if chosen:
            columns = {column: [shown[i] for i in chosen] for column, shown in report.pictures.items()}
            parts.append(html.heading(title) + html.pictures(columns, [report.captions[i] for i in chosen]))
    return "".join([*parts, html.paragraphs([*report.assessment.gaps(), *report.notes()])])


def _direction(report: Report) -> dict[str, Any]:
    cycles = {
        row: {
            "error": {way: float(np.mean([cycle.error[way] for cycle in cycles])) for way in WAYS},
            "psnr": {way: float(np.mean([cycle.psnr[way] for cycle in cycles])) for way in WAYS},
            "honesty": float(np.mean([cycle.honesty for cycle in cycles])),
        }
        for row, cycles in report.cycles.items()
    }
    paired = _paired(report.evaluation) if report.evaluation else {}
    return {**paired, "unpaired": report.assessment.as_json(), "cycle": cycles, "near_duplicates": report.removed}


def _paired(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "split": evaluation.split,
        "n": len(evaluation.images),
        "margin": evaluation.margin,
        "reference": evaluation.reference,
        "images": list(evaluation.images),
        "rows": {name: {key: _numbers(row, key) for key in METRICS} for name, row in evaluation.rows.items()},
    }


def _numbers(row: Row, metric: str) -> dict[str, Any]:
    """Mean, interval, difference to the reference, and the values that a later comparison can be paired by."""
    return {
        **_rounded(row.estimates[metric]),
        "difference": _rounded(row.differences[metric]),
        "per_image": row.values[metric].round(4).tolist(),
    }


def _rounded(estimate: Estimate) -> dict[str, float]:
    return {name: round(value, 4) for name, value in estimate._asdict().items()}


def _cell(estimate: Estimate, metric: Metric) -> str:
    mean, low, high = (f"{value:.{metric.digits}f}" for value in estimate)
    return f"{mean} [{low}, {high}]"


def _paired_note(evaluation: Evaluation) -> str:
    note = f"{len(evaluation.images)} images, {evaluation.split}, scored without {evaluation.margin} pixels of border."
    return f"{note} Rows marked * were fitted on these very pairs."


def _cycle_table(cycles: Mapping[str, Sequence[Cycle]]) -> list[list[str]]:
    head = ["", *(f"error {way}, levels" for way in WAYS), "PSNR clean, dB", "PSNR JPEG-90, dB", "honesty"]
    rows = []
    for name, found in cycles.items():
        errors = [bootstrap(np.array([cycle.error[way] for cycle in found])) for way in WAYS]
        signals = [bootstrap(np.array([cycle.psnr[way] for cycle in found])) for way in ("clean", "JPEG-90")]
        honesty = bootstrap(np.array([cycle.honesty for cycle in found]))
        rows.append([name, *map(_one_digit, errors), *map(_one_digit, signals), f"{honesty.mean:.2f}"])
    return [head, *rows]


def _one_digit(estimate: Estimate) -> str:
    return f"{estimate.mean:.1f} [{estimate.low:.1f}, {estimate.high:.1f}]"


def _framed(image: Images, height: int, width: int) -> Float[Tensor, "n 3 height width"]:
    """On white of the given size; small pictures are doubled, so that they can be looked at."""
    framed = pad(image, (0, width - image.shape[3], 0, height - image.shape[2]), value=1.0)
    return interpolate(framed, scale_factor=2, mode="nearest") if height < SMALL else framed
