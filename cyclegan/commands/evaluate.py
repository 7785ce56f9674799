"""`cyclegan evaluate`: score runs, a model, or a folder of translations that any program made.

Modules that are slow to import are imported inside functions, so that --help needs none of them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan.commands.arguments import positive, print_skipped
from cyclegan.errors import UserError, expanded

if TYPE_CHECKING:
    from cyclegan.data.task import Task
    from cyclegan.evaluation.candidates import Candidate
    from cyclegan.evaluation.evaluator import EvaluationOptions
    from cyclegan.evaluation.results import Results
    from cyclegan.model.model import Model

SCORES = ("truth", "realism", "failure modes")  # tables whose numbers are scores of a run


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan evaluate`."""
    verb.add_argument(
        "folders", type=expanded, nargs="+", help="runs, as of several seeds; a folder of translations; a model"
    )
    verb.add_argument(
        "--domain", help="of translations and models: the domain whose test images are sources: photo2monet"
    )
    verb.add_argument("--to", help="of translations and models: name of the target: monet")
    verb.add_argument("--sources", type=expanded, help="instead of a domain: folder of the source images")
    verb.add_argument("--targets", type=expanded, help="and folder of real images of the target")
    verb.add_argument("--held-out", type=expanded, help="and folder of more of them that were not trained on")
    verb.add_argument("--out", type=expanded, help="folder of the report; by default in the run")
    verb.add_argument("--limit", type=positive, metavar="IMAGES", help="at most so many test images, evenly spaced")
    verb.add_argument("--count", type=positive, dest="limit", help=argparse.SUPPRESS)  # earlier name
    verb.add_argument("--metrics", nargs="+", help="only these: psnr ssim patch-swd kid-inception ms-ssim lpips ...")
    verb.add_argument("--fetch", action="store_true", help="download the weights that metrics lack")
    verb.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score runs on their test images, or translations and models on those of a domain or of folders."""
    from cyclegan.experiment import RUNS

    folder = options.folders[0]
    how = {"limit": options.limit, "metrics": options.metrics, "fetch": options.fetch}
    if all((each / "config.yaml").exists() for each in options.folders):
        _evaluate_runs(options, how)
    elif len(options.folders) > 1:
        raise UserError(f"{folder}: only runs are evaluated together; give one folder of translations at a time")
    else:
        out = options.out or RUNS / "evaluation" / folder.absolute().stem
        evaluate_translations(folder, _task(options), out, **how)
        print_skipped(filter(None, [folder, options.sources, options.targets, options.held_out]))
    return 0


def evaluate_run(
    folder: Path,
    out: Path | None = None,
    *,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    fetch: bool = False,
) -> dict[str, float]:
    """Score the newest weights of a run and its best ones on validation; return the scores of the newest."""
    from cyclegan.config import load
    from cyclegan.data.dataset import open_dataset
    from cyclegan.experiment import Experiment

    experiment = load(folder / "config.yaml", Experiment)
    if not experiment.data.spec.is_rgb8:
        print(f"{folder}: no scores, as all metrics compare 8-bit RGB; look at its samples")
        return {}
    versions = _versions(folder, experiment.method.name)
    name, last = next(iter(versions.items()))
    options = _options(limit, metrics, fetch, experiment.method.remedies)
    tasks = [task for task in open_dataset(experiment.data, experiment.seed).tasks() if task.to in last.targets]
    results = {task.name: _evaluate_versions(versions, task, options) for task in tasks}
    weights = {
        "weights": "exponential average",
        "rows": {row: loaded.step for row, loaded in versions.items()},
    }
    _report(out or folder / "evaluation", results, {**last.about, **weights})
    scores = {task: each.values(name, SCORES) for task, each in results.items()}
    return {f"{task}/{metric}": value for task, values in scores.items() for metric, value in values.items()}


def evaluate_translations(
    path: Path,
    task: "Task",
    out: Path,
    *,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    fetch: bool = False,
) -> "Results":
    """Score a folder of translations that are matched by name, or a released model, and write the report."""
    from cyclegan.evaluation.evaluator import evaluate
    from cyclegan.evaluation.tasks import find_translations
    from cyclegan.model.load import load as load_model

    candidate: Candidate = (
        _candidate(load_model(path), task.to) if path.is_file() else find_translations(path, task.sources)
    )
    results = evaluate({path.stem: candidate}, task, _options(limit, metrics, fetch))
    _report(out, {task.name: results}, {"translations": str(path)})
    return results


def _evaluate_runs(options: argparse.Namespace, how: Mapping[str, Any]) -> None:
    folder = options.folders[0]
    for name in ("domain", "to", "sources", "targets", "held_out"):
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: {folder} is a run, whose settings give it; leave it out, or give translations")
    if options.out is not None and len(options.folders) > 1:
        raise UserError("--out: each run keeps its own report; give --out with one run")
    scores = [evaluate_run(each, options.out, **how) for each in options.folders]
    if len(scores) > 1:
        from cyclegan.evaluation.report import over_runs

        print(f"\n{len(scores)} runs, mean ± standard deviation of the last weights\n\n{over_runs(scores)}")


def _task(options: argparse.Namespace) -> "Task":
    from cyclegan.evaluation.tasks import task_of_domain, task_of_folders

    if options.domain is not None:
        return task_of_domain(options.domain, options.to)
    if options.sources is None or options.targets is None:
        raise UserError(
            f"{options.folders[0]}: is not a run; name the sources of its translations: "
            "--domain photo2monet, or --sources photos --targets paintings"
        )
    return task_of_folders(options.sources, options.targets, options.held_out)


def _versions(folder: Path, method: str) -> dict[str, "Model"]:
    """Return the weights of a run by title, the newest first."""
    from cyclegan.model.load import load as load_model

    last = load_model(folder)
    versions = {f"{method}, step {last.step:,}": last}
    if (folder / "best.safetensors").exists():
        best = load_model(folder / "best.safetensors")
        versions[f"{method}, best on validation, step {best.step:,}"] = best
    return versions


def _evaluate_versions(versions: Mapping[str, "Model"], task: "Task", options: "EvaluationOptions") -> "Results":
    from cyclegan.evaluation.evaluator import evaluate

    candidates = {name: _candidate(loaded, task.to) for name, loaded in versions.items()}
    sources = {name: loaded.source(task.to) for name, loaded in versions.items()}
    inverses = {
        name: loaded.translators[sources[name]]
        for name, loaded in versions.items()
        if sources[name] in loaded.translators and not loaded.stylizer
    }
    return evaluate(candidates, task, options, inverses)


def _candidate(loaded: "Model", to: str) -> "Candidate":
    """Return the translator to a target, or the method if it takes style images."""
    loaded.require_rgb("an evaluation", to if loaded.stylizer is None else None)
    return loaded.stylizer or loaded.translator(to)


def _options(
    limit: int | None, metrics: Sequence[str] | None, fetch: bool, remedies: Mapping[str, str] | None = None
) -> "EvaluationOptions":
    from cyclegan.device import choose_device
    from cyclegan.evaluation.evaluator import EvaluationOptions

    device = choose_device("auto")
    return EvaluationOptions(metrics=metrics, limit=limit, fetch=fetch, device=device, remedies=remedies or {})


def _report(out: Path, results: Mapping[str, "Results"], provenance: Mapping[str, Any]) -> None:
    """Print the results and write the report."""
    from cyclegan.evaluation.report import as_text, save_report
    from cyclegan.training.provenance import environment

    for name, each in results.items():
        print(f"\n{name}\n\n{as_text(each)}")
    save_report(out, results, {**provenance, "evaluated_by": environment()})
    print(f"\nnumbers, tables and images: {out / 'index.html'}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return int(text)
