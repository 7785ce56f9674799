"""The composition root, the only module that knows everything: settings → data, method, run; one function a verb.

Each verb returns the exit code. PyTorch is imported inside those that compute, so that `show` and `data` start at once.
"""

import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cyclegan import __version__
from cyclegan.config import dump, load
from cyclegan.data.cards import find_domain, list_domains, locate
from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.sources import Sources, find_sources
from cyclegan.errors import UserError
from cyclegan.evaluation.settings import CompareConfig
from cyclegan.methods.settings import CycleGANConfig, MethodConfig
from cyclegan.training.settings import TrainingConfig

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One YAML file of experiments/: everything that decides what a run will be."""

    name: str  # of the run's folder, runs/<domain>/<name>
    seed: int = 0
    method: MethodConfig = CycleGANConfig()
    data: UnpairedConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError("seed: must be at least 0")
        self.method.require_fitting(self.data.crop_size)


def train(path: Path, overrides: Sequence[str]) -> int:
    """Say what will happen, train or continue, then score."""
    experiment = load(path, Experiment, overrides)
    sources = find_sources(experiment.data)

    from cyclegan.data.unpaired import Unpaired, held_out
    from cyclegan.evaluation.examiner import PICTURES, Examiner, Validation
    from cyclegan.methods import build
    from cyclegan.methods.cyclegan import CycleGAN
    from cyclegan.precision import choose_device
    from cyclegan.training import loop
    from cyclegan.training.plan import describe
    from cyclegan.training.run import Run
    from cyclegan.training.seeding import seed_step

    data, training = experiment.data, experiment.training
    device = choose_device(training.device)
    run = Run(RUNS / sources.domain / experiment.name, dump(experiment), environment(), 2 * data.batch_size)
    seed_step(experiment.seed, step=0)
    method = build(experiment.method).to(device)
    batches = Unpaired(sources.train_x, sources.train_y, data, experiment.seed, method.Batch)

    run.say(f"run       {run.folder}")
    run.say(f"images    {sources.x} {len(sources.train_x):,}, {sources.y} {len(sources.train_y):,}")
    buffered = getattr(experiment.method, "buffer_size", 0)
    first = loop.to(batches.batch_at(0), device)
    for line in describe(method, first, training, device, done=run.steps_done(), buffered=buffered):
        run.say(line)

    shown = held_out(sources.test_x, sources.test_y, data, kind=method.Batch)
    judge = Examiner()
    if sources.validation_x and isinstance(method, CycleGAN):
        x, y = loop.to(held_out(sources.validation_x, sources.validation_y, data, PICTURES), device)
        judge = Examiner({"G(x)": Validation.of(method.x_to_y, x, y), "F(y)": Validation.of(method.y_to_x, y, x)})
        run.say(f"validates on {len(x)} + {len(y)} pictures kept aside; the best weights go to best.safetensors")
    described = about(experiment, sources)
    loop.train(method, batches, shown, training, run, seed=experiment.seed, device=device, about=described, judge=judge)
    run.add_hyperparameters(settings(experiment), score(run.folder))
    return 0


def translate(
    checkpoint: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    to: str | None,
    style: Sequence[Path],
    weights: Sequence[float] | None,
    masks: Sequence[Path],
    overrides: Sequence[str],
    bits: int,
    every: int | None,
) -> int:
    """Translate files and folders; bad ones are named at the end."""
    from cyclegan.inference.load import load as load_trained
    from cyclegan.inference.translate import translate

    loaded = load_trained(checkpoint, style=style, weights=weights, masks=masks, overrides=overrides)
    for damage in loaded.damages:
        print(f"passed over: {damage}", file=sys.stderr)
    report = translate(loaded, pictures, out, to, bits=bits, every=every)
    count = len(report.done) + len(report.bad)
    print(f"{len(report.done)} of {count} pictures translated to {to or loaded.y} in {out}")
    for bad in report.bad:
        print(f"error: {bad}", file=sys.stderr)
    return UserError.exit_code if report.bad else 0


def list_data() -> int:
    """Every domain, its pictures and where they are."""
    print(list_domains())
    return 0


def fetch_data(name: str) -> int:
    """Download, or make, the data set of a domain."""
    from cyclegan.data.fetch import obtain

    print(f"{name}: in {obtain(find_domain(name))}")
    return 0


def check_data(target: str) -> int:
    """Count and open every picture of a domain or a folder."""
    from cyclegan.data.check import check

    report = check(Path(target) if Path(target).is_dir() else locate(find_domain(target)))
    print(report)
    return UserError.exit_code if report.bad else 0


def show(path: Path, overrides: Sequence[str]) -> int:
    """Print the resolved settings of an experiment or a run."""
    print(dump(load(path / "config.yaml" if path.is_dir() else path, Experiment, overrides)), end="")
    return 0


def compare(path: Path, overrides: Sequence[str]) -> int:
    """The same pictures through many translators; what fails is named, and the others continue."""
    config = load(path, CompareConfig, overrides)

    from cyclegan.comparison import compare
    from cyclegan.evaluation.summary import as_markdown, failures, save_comparison, table

    comparison = compare(config)
    folder = RUNS / "compare" / path.stem
    save_comparison(folder, comparison, {"settings": dump(config), **environment()})
    print(as_markdown(table(comparison)))
    for failure in failures(comparison):
        print(f"error: {failure}", file=sys.stderr)
    print(f"\nwall and table: {folder / 'index.html'} and {folder / 'wall.png'}")
    return UserError.exit_code if failures(comparison) else 0


def evaluate(folder: Path) -> int:
    """Score a run on its test pictures and say where tables and pictures are."""
    score(folder)
    return 0


def score(folder: Path) -> dict[str, float]:
    """Both directions of a run beside rivals and oracles, where the test pictures have true counterparts."""
    from cyclegan.evaluation.evaluate import Evaluation, evaluate
    from cyclegan.evaluation.report import as_table, save_report, sheet
    from cyclegan.evaluation.rivals import oracles, rivals
    from cyclegan.images import write
    from cyclegan.inference.load import load as load_trained

    experiment = load(folder / "config.yaml", Experiment)
    sources = find_sources(experiment.data)
    if not sources.paired_test or not isinstance(experiment.method, CycleGANConfig):
        print(f"{sources.domain}: the right translations are not known, so there is no score; see {folder / 'samples'}")
        return {}

    run = load_trained(folder)
    name = f"{experiment.method.name}, step {run.step:,}"
    evaluations: dict[str, Evaluation] = {}
    scores: dict[str, float] = {}
    for direction in sources.directions():
        translator = run.translator(direction.to)
        trivial = rivals(direction.train_sources, direction.train_targets)
        seeing = oracles(direction.test_sources, direction.truths, sources.margin)
        candidates = trivial | {name: translator} | seeing
        evaluations[direction.name] = evaluate(
            candidates, direction.test_sources, direction.truths, sources.margin, reference=list(trivial)[-1]
        )
        row = evaluations[direction.name].rows[name]
        scores |= {f"{direction.name}/{metric}": estimate.mean for metric, estimate in row.estimates.items()}
        picture = folder / "evaluation" / f"{direction.name}.png"
        write(picture, sheet(translator, direction.test_sources, direction.truths))
        print(f"\n{direction.name}\n\n{as_table(evaluations[direction.name])}\nsource | translation | truth: {picture}")
    save_report(folder / "evaluation", evaluations, {**run.about, "evaluated_by": environment()})
    print(f"\nnumbers: {folder / 'evaluation' / 'evaluation.json'}")
    return scores


def environment() -> dict[str, Any]:
    """Versions and commit, kept with the run."""
    packages = ("torch", "torchvision", "numpy", "scikit-image", "pillow", "safetensors")
    return {
        "cyclegan": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in packages},
    }


def commit() -> str | None:
    """The commit of the code, with a + if files were changed since; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def settings(experiment: Experiment) -> dict[str, bool | int | float | str]:
    """Dotted names and values, for TensorBoard's table of hyper-parameters."""

    def walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, f"{name}.{key}" if name else key)
        elif value is not None:
            yield name, value if isinstance(value, bool | int | float | str) else str(value)

    return dict(walk(asdict(experiment), ""))


def about(experiment: Experiment, sources: Sources) -> dict[str, Any]:
    """What a released file says of itself."""
    return {
        "format": 1,
        "library": __version__,
        "domain": sources.domain,
        "x": sources.x,
        "y": sources.y,
        "channels": 3,
        "range": [-1, 1],
        "method": dump(experiment.method),
        "seed": experiment.seed,
        "ema": experiment.training.ema,
        "commit": commit(),
        "training_images": {sources.x: len(sources.train_x), sources.y: len(sources.train_y)},
    }
