"""Which unpaired metrics deserve trust: how they rank translators whose true quality is known.

    make figure NAME=trust RUN=runs/photo2painting/many

On photo2painting the right painting of every test photograph is known, so PSNR and SSIM to it say how good a translator
is. Every metric that does without the truth ranks the same translators: all checkpoints of the runs given, the rivals
that need no training, and the oracles. Writes runs/figures/trust.md: Spearman's correlation between the two rankings,
signed so that +1 is agreement, with a 95 % interval by the bootstrap over translators, and what each was measured at.

The runs want many checkpoints: make train ARGS="--set name=many --set training.save_every=500 --set training.keep=20"
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from cyclegan import load
from cyclegan.config import load as read_settings
from cyclegan.data.splits import find_splits
from cyclegan.evaluation.assessment import as_markdown
from cyclegan.evaluation.evaluate import evaluate, translate_file
from cyclegan.evaluation.rivals import oracles, rivals
from cyclegan.evaluation.suite import Suite
from cyclegan.experiment import Experiment
from cyclegan.pictures import read_picture
from cyclegan.precision import choose_device
from cyclegan.protocols import Translator
from cyclegan.provenance import environment

OUT = Path("runs/figures")
RESAMPLES = 2000


def main() -> None:
    """The table."""
    options = argparse.ArgumentParser()
    options.add_argument("runs", type=Path, nargs="+")
    runs = options.parse_args().runs
    sources = find_splits(read_settings(runs[0] / "config.yaml", Experiment).data)
    there = sources.directions()[0]
    learned = {
        f"{run.name}, {path.name}": load(path).translator(there.to) for run in runs for path in _checkpoints(run)
    }
    trivial = rivals(there.train_sources, there.train_targets)
    seeing = oracles(there.test_sources, there.truths, sources.margin)
    translators: dict[str, Translator] = {**trivial, **seeing, **learned}
    evaluation = evaluate(translators, there.test_sources, there.truths, sources.margin, list(trivial)[-1])
    truth = {m: np.array([row.estimates[m].mean for row in evaluation.rows.values()]) for m in ("psnr", "ssim")}

    pictures = [read_picture(path) for path in there.test_sources]
    targets = [read_picture(path) for path in there.train_targets]
    suite = Suite(pictures, targets, targets, choose_device("auto"))
    values: dict[str, list[float]] = {name: [] for name in suite.columns}
    for translator in translators.values():
        found = suite.measure([translate_file(translator, path) for path in there.test_sources])
        for name in values:
            values[name].append(found[name].value)
    _write(suite, {name: np.array(column) for name, column in values.items()}, truth, list(translators), len(learned))


def _checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*"))


def _write(
    suite: Suite, values: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], names: Sequence[str], learned: int
) -> None:
    head = ["", "PSNR, all", "SSIM, all", "PSNR, checkpoints", "SSIM, checkpoints"]
    rows = []
    for name, column in suite.columns.items():
        sign = -1 if column.better == "lower" or column.question == "optimized" else 1
        if len(set(values[name])) > 1:
            pairs = [
                (sign * values[name][part], truth[m][part])
                for part in (slice(None), slice(-learned, None))
                for m in truth
            ]
            rows.append([f"{column.title} ({column.question})", *(_agreement(*pair) for pair in pairs)])
    shown = [
        [name, *(f"{truth[m][i]:.3f}" for m in truth), *(f"{v[i]:.4g}" for v in values.values())]
        for i, name in enumerate(names)
    ]
    notes = f"{len(names)} translators, {learned} of them checkpoints; {len(suite.sources)} test blocks."
    notes += f" {json.dumps(environment())}"
    table = as_markdown([head, *rows])
    OUT.mkdir(parents=True, exist_ok=True)
    measured = as_markdown([["", *truth, *values], *shown])
    (OUT / "trust.md").write_text(f"{table}\n\n{measured}\n\n{notes}\n", encoding="utf-8")
    print(table, f"\n{OUT / 'trust.md'}", sep="\n")


def _agreement(values: np.ndarray, truth: np.ndarray) -> str:
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    found = [r for r in (_spearman(values[i], truth[i]) for i in drawn) if np.isfinite(r)]
    low, high = np.percentile(found, [2.5, 97.5]) if found else (np.nan, np.nan)
    return f"{_spearman(values, truth):+.2f} [{low:+.2f}, {high:+.2f}]"


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (rankdata(each) - (len(each) + 1) / 2 for each in (x, y))
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length else float("nan")


if __name__ == "__main__":
    main()
