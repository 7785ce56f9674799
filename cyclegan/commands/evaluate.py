"""`cyclegan evaluate`: score runs, models, or a folder of translations that any program made."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan.config import load
from cyclegan.experiment import Experiment
from cyclegan.provenance import environment


def evaluate_run(
    folder: Path,
    out: Path | None = None,
    *,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    fetch: bool = False,
) -> dict[str, float]:
    """Score the newest and the best weights of a run beside baselines; returns the scores of the newest."""
    from cyclegan.data.dataset import open_dataset
    from cyclegan.evaluation.report import as_text, save_report, sheet
    from cyclegan.images import write
    from cyclegan.inference.load import load as load_trained
    from cyclegan.precision import choose_device
    from cyclegan.scoring import Asked, assess_run

    experiment = load(folder / "config.yaml", Experiment)
    if not experiment.data.spec.is_rgb8:
        print(f"{folder}: no scores, as all of them compare 8-bit RGB; look at its samples")
        return {}
    tasks = open_dataset(experiment.data, experiment.seed).tasks()
    last = load_trained(folder)
    name = f"{experiment.method.name}, step {last.step:,}"
    versions = {name: last}
    if (folder / "best.safetensors").exists():
        best = load_trained(folder / "best.safetensors")
        versions[f"{experiment.method.name}, best on validation, step {best.step:,}"] = best
    reports = assess_run(versions, tasks, choose_device("auto"), Asked(limit, fetch, metrics))
    out = out or folder / "evaluation"
    scores: dict[str, float] = {}
    for task in (each for each in tasks if each.name in reports):
        report = reports[task.name]
        print(f"\n{task.name}\n\n{as_text(report)}")
        values = report.assessment.values(name, ("realism", "symptoms"))
        scores |= {f"{task.name}/{metric}": value for metric, value in values.items()}
        if report.evaluation:
            estimates = report.evaluation.rows[name].estimates
            scores |= {f"{task.name}/{metric}": estimate.mean for metric, estimate in estimates.items()}
            picture = out / f"{task.name}.png"
            write(picture, sheet(last.translator(task.to), task.sources, task.truths))
            print(f"\nsource | translation | truth: {picture}")
    weights = {"weights": "exponential average", "rows": {row: loaded.step for row, loaded in versions.items()}}
    save_report(out, reports, {**last.about, **weights, "evaluated_by": environment()})
    print(f"\nnumbers, tables and pictures: {out / 'index.html'}")
    return scores
