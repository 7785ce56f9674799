"""What is done with a trained run, with pictures and with data sets: one function a verb, which returns the exit code.

PyTorch is imported inside those that compute, so that `data` starts at once.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclegan.config import dump, load
from cyclegan.data.cards import find_domain, list_domains, locate
from cyclegan.commands.evaluate import evaluate_run
from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.splits import find_splits
from cyclegan.errors import UserError
from cyclegan.evaluation.settings import CompareConfig
from cyclegan.experiment import RUNS
from cyclegan.inference.options import Options
from cyclegan.provenance import environment


def translate(
    checkpoint: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    to: str | None,
    frames: bool,
    loading: Mapping[str, Any],
    how: Options,
) -> int:
    """Translate files, folders and films; bad ones are named at the end. `loading` are options of load."""
    from cyclegan.inference.film import translate_all
    from cyclegan.inference.load import load as load_trained

    loaded = load_trained(checkpoint, **loading)
    for damage in loaded.damages:
        print(f"passed over: {damage}", file=sys.stderr)
    report = translate_all(loaded, pictures, out, to, how, frames=frames)
    count, kind = len(report.done) + len(report.bad), "files" if report.notes else "pictures"
    print("".join(f"{note}\n" for note in report.notes), end="")
    print(f"{len(report.done)} of {count} {kind} translated to {to or loaded.to} in {out}")
    for bad in report.bad:
        print(f"error: {bad}", file=sys.stderr)
    return UserError.exit_code if report.bad else 0


def export(checkpoint: Path, out: Path, *, to: str | None, pixels: str | None) -> int:
    """Write a trained generator for other programs, or a release of it."""
    from cyclegan.inference.export import export

    print(export(checkpoint, out, to, pixels))
    return 0


def convert(file: Path, out: Path, *, x: str | None, y: str | None) -> int:
    """Make a release of a generator that the authors' PyTorch code has trained."""
    from cyclegan.inference.official import convert

    print(convert(file, out, x, y))
    return 0


def serve(checkpoints: Sequence[Path], examples: Path | None, *, host: str, port: int, size: int | None) -> int:
    """Answer with a page and an endpoint until Ctrl-C."""
    try:
        from cyclegan.inference import server
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name}: is not installed; pip install fastapi uvicorn python-multipart") from error
    from cyclegan.inference.guard import Hosts
    from cyclegan.inference.load import load as load_trained
    from cyclegan.inference.studio import SIZE, Studio, named, read_examples

    hosts, size = Hosts(host), size or SIZE
    with server.listen(host, port) as listening:
        models = {name: load_trained(path) for name, path in named(checkpoints).items()}
        for damage in (damage for loaded in models.values() for damage in loaded.damages):
            print(f"passed over: {damage}", file=sys.stderr)
        studio = Studio(models=models, examples=read_examples(examples, size), size=size)
        if not hosts.is_loopback:
            print(f"warning: whoever reaches {host} can use this; there is no password", file=sys.stderr)
        shown = f"[{host}]" if ":" in host else host
        print(f"{', '.join(models)}: at http://{shown}:{listening.getsockname()[1]}/ until Ctrl-C", flush=True)
        server.Server(studio, hosts).run(sockets=[listening])
    return 0


def list_data() -> int:
    """Every domain, its pictures and where they are."""
    print(list_domains())
    return 0


def fetch_data(name: str) -> int:
    """Download, or make, the data set of a domain."""
    from cyclegan.data.fetch import obtain

    print(f"{name}: in {obtain(find_domain(name))}")
    return 0


def check_data(targets: Sequence[str]) -> int:
    """Count and open every picture of a domain, a folder, or two folders that are the sides of a training."""
    from cyclegan.data.check import check

    report = check(*(Path(name) if Path(name).is_dir() else locate(find_domain(name)) for name in targets))
    print(report)
    return UserError.exit_code if report.bad else 0


def compare(path: Path, overrides: Sequence[str]) -> int:
    """The same pictures through many translators; what fails is named, and the others continue."""
    config = load(path, CompareConfig, overrides)

    from cyclegan.comparison import compare
    from cyclegan.evaluation.summary import failures, save_comparison, summary

    comparison = compare(config)
    folder = RUNS / "compare" / path.stem
    save_comparison(folder, comparison, {"settings": dump(config), **environment()})
    print(summary(comparison))
    for failure in failures(comparison):
        print(f"error: {failure}", file=sys.stderr)
    print(f"\nwall and tables: {folder / 'index.html'} and {folder / 'wall.png'}")
    return UserError.exit_code if failures(comparison) else 0


def evaluate(
    folders: Sequence[Path],
    *,
    domain: str | None,
    to: str | None,
    sources: Path | None,
    targets: Path | None,
    held_out: Path | None,
    out: Path | None,
    count: int | None,
    metrics: Sequence[str] | None,
    fetch: bool,
) -> int:
    """Score runs on their test pictures, or a folder of translations that any program made."""
    folder = folders[0]
    if all((each / "config.yaml").exists() for each in folders):
        given = {"--domain": domain, "--to": to, "--sources": sources, "--targets": targets, "--held-out": held_out}
        for option in (name for name, value in given.items() if value is not None):
            raise UserError(f"{option}: {folder} is a run, whose settings say that; give it with a folder of pictures")
        if out is not None and len(folders) > 1:
            raise UserError("--out: each run keeps its own report; give --out with one run")
        scores = [evaluate_run(each, out, limit=count, metrics=metrics, fetch=fetch) for each in folders]
        if len(scores) > 1:
            from cyclegan.scoring import over_runs

            print(f"\n{len(scores)} runs, mean ± standard deviation of the last weights\n\n{over_runs(scores)}")
        return 0
    if len(folders) > 1:
        raise UserError(f"{folder}: only runs are evaluated together; give one folder of pictures at a time")

    from cyclegan.evaluation.report import as_text, save_report
    from cyclegan.precision import choose_device
    from cyclegan.scoring import Asked, assess_folder, task_of_domain, task_of_folders

    if domain is not None:
        task = task_of_domain(find_splits(UnpairedConfig(domain=domain)), to)
    elif sources is not None and targets is not None:
        task = task_of_folders(sources, targets, held_out)
    else:
        raise UserError(
            f"{folder}: is no run; say what its pictures are translations of: --domain photo2monet, "
            "or --sources photos --targets paintings"
        )
    report = assess_folder(folder, task, choose_device("auto"), Asked(count, fetch, metrics))
    out = out or RUNS / "evaluation" / folder.absolute().name
    print(as_text(report))
    save_report(out, {task.name: report}, {"pictures": str(folder), "evaluated_by": environment()})
    print(f"\nnumbers, tables and pictures: {out / 'index.html'}")
    return 0
