"""Which unpaired metrics deserve trust: how they rank translators whose true quality is known.

    make figure NAME=trust RUN=runs/photo2painting/many

On photo2painting the right painting of every test photograph is known, so PSNR and SSIM to it say how good a
translator is. Every metric that does without the truth ranks the same translators: all checkpoints of the
runs given, the baselines that need no training, and the oracles. Writes runs/figures/trust.md: Spearman's
correlation between the two rankings, signed so that +1 is agreement, with a 95 % interval by the bootstrap
over translators, and what each was measured at.

The runs want many checkpoints: make train ARGS="--set name=many --set training.save_every=500 --set
training.keep_checkpoints=20"
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from cyclegan import load
from cyclegan.config import load as read_settings
from cyclegan.data.dataset import open_dataset
from cyclegan.device import choose_device
from cyclegan.evaluation.baselines import fit_oracles
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.evaluation.markdown import as_markdown
from cyclegan.evaluation.results import Results
from cyclegan.experiment import Experiment
from cyclegan.protocols import Translator
from cyclegan.training.provenance import environment

OUT = Path("runs/figures")
RESAMPLES = 2000


def main() -> None:
    """The table."""
    options = argparse.ArgumentParser()
    options.add_argument("runs", type=Path, nargs="+")
    runs = options.parse_args().runs
    experiment = read_settings(runs[0] / "config.yaml", Experiment)
    task = open_dataset(experiment.data, experiment.seed).tasks()[0]
    learned = {f"{run.name}, {path.name}": load(path).translator(task.to) for run in runs for path in _checkpoints(run)}
    translators: dict[str, Translator] = {**fit_oracles(task.sources, task.truths, task.border), **learned}
    options = EvaluationOptions(size=None, device=choose_device("auto"))
    _write(evaluate(translators, task._replace(held_out=()), options), len(learned))


def _checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*"))


def _write(results: Results, learned: int) -> None:
    head = ["", "PSNR, all", "SSIM, all", "PSNR, checkpoints", "SSIM, checkpoints"]
    numbers = {name: row for name, row in results.rows.items() if "change" in row}
    values = {name: np.array([row[name].value for row in numbers.values()]) for name in results.metrics}
    truth = {name: values[name] for name in ("psnr", "ssim")}
    unpaired = {name: metric for name, metric in results.metrics.items() if metric.table != "truth"}
    rows = []
    for name, metric in unpaired.items():
        sign = -1 if metric.better == "lower" or metric.table == "optimized" else 1
        if len(set(values[name])) > 1:
            parts = [slice(None), slice(-learned, None)]
            pairs = [(sign * values[name][part], each[part]) for part in parts for each in truth.values()]
            rows.append([f"{metric.title} ({metric.table})", *(_agreement(*pair) for pair in pairs)])
    shown = [
        [name, *(f"{each[i]:.3f}" for each in truth.values()), *(f"{values[key][i]:.4g}" for key in unpaired)]
        for i, name in enumerate(numbers)
    ]
    notes = f"{len(shown)} translators, {learned} of them checkpoints; {len(results.captions)} test blocks."
    notes += f" {json.dumps(environment())}"
    table = as_markdown([head, *rows])
    OUT.mkdir(parents=True, exist_ok=True)
    measured = as_markdown([["", *truth, *unpaired], *shown])
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
