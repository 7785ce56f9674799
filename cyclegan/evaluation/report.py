"""What an evaluation leaves behind: numbers for programs, a table for readers, pictures for the eye.

evaluation.json   every number with its interval, its images and its protocol, and where it comes from
evaluation.md     one table for each direction: rivals, the run, oracles marked *
sheet             eight test images, evenly spaced: source | translation | truth
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

from cyclegan.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Estimate
from cyclegan.evaluation.evaluate import METRICS, Evaluation, Metric, Row, translate_file
from cyclegan.images import from_bytes, grid, read
from cyclegan.protocols import Images, Translator

SHOWN = 8  # rows of the picture sheet
SMALL = 160  # px of height: lower pictures are doubled


def save_report(folder: Path, evaluations: Mapping[str, Evaluation], provenance: Mapping[str, Any]) -> None:
    """Write evaluation.json and evaluation.md; `evaluations` are named by direction, as in photo2painting."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(evaluations, provenance), indent=1, ensure_ascii=False)
    (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    tables = (f"## {direction}\n\n{as_table(evaluation)}" for direction, evaluation in evaluations.items())
    (folder / "evaluation.md").write_text("\n".join(tables), encoding="utf-8")


def as_json(evaluations: Mapping[str, Evaluation], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is needed to quote a number, and to see whether two numbers may be compared."""
    return {
        "provenance": dict(provenance),
        "protocol": {name: metric.protocol for name, metric in METRICS.items()}
        | {"interval": f"{CONFIDENCE} %, percentile bootstrap over images, {RESAMPLES} resamples, paired"},
        "directions": {direction: _direction(evaluation) for direction, evaluation in evaluations.items()},
    }


def as_table(evaluation: Evaluation) -> str:
    """The rows in Markdown, with one column for each metric."""
    head = ["", *(f"{metric.title} [{CONFIDENCE} %]" for metric in METRICS.values())]
    lines = [head, ["---"] * len(head)]
    for name, row in evaluation.rows.items():
        cells = (_cell(row.estimates[key], metric) for key, metric in METRICS.items())
        lines.append([name.replace("*", "\\*"), *cells])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    note = f"{len(evaluation.images)} images, {evaluation.split}, scored without {evaluation.margin} pixels of border."
    return f"{table}\n\n{note} Rows marked \\* were fitted on these very pairs.\n"


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


def _direction(evaluation: Evaluation) -> dict[str, Any]:
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


def _framed(image: Images, height: int, width: int) -> Float[Tensor, "n 3 height width"]:
    """On white of the given size; small pictures are doubled, so that they can be looked at."""
    framed = pad(image, (0, width - image.shape[3], 0, height - image.shape[2]), value=1.0)
    return interpolate(framed, scale_factor=2, mode="nearest") if height < SMALL else framed
