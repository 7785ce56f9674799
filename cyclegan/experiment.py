"""What is trained: the settings of one file → data, method, run, scores; the verbs `train` and `show`.

Each verb returns the exit code. PyTorch is imported inside what computes, so that mistakes in a file show at once.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan import __version__
from cyclegan.config import dump, load, parse
from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.sources import Sources, find_sources, kinds_of_sides
from cyclegan.errors import ConfigError, UserError, enough_memory, printable
from cyclegan.methods.settings import CycleGANConfig, DirectedConfig, MethodConfig
from cyclegan.pixels.kind import RGB, Kind, described
from cyclegan.provenance import commit, environment
from cyclegan.training.settings import TrainingConfig

if TYPE_CHECKING:
    import torch

    from cyclegan.evaluation.examiner import Examiner
    from cyclegan.protocols import Trainable
    from cyclegan.training.run import Run

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
        if not re.fullmatch(r"[^\W_][^/\\]{,99}", self.name) or not self.name.isprintable():
            raise ValueError("name: must be that of a folder: a letter or digit first, at most 100 in all, no / or \\")
        if self.seed < 0:
            raise ValueError("seed: must be at least 0")
        self.method.require_fitting(self.data.crop_size)
        self.method.require_channels(*self.channels)
        if self.data.validation and not self.is_usual:
            raise ValueError("data: validation compares 8-bit RGB; set it to 0, or leave out channels and ranges")
        judged = isinstance(self.method, CycleGANConfig) and self.data.validation
        if self.training.schedule == "plateau" and not judged:
            remedy = (
                "give data.validation a share of them" if isinstance(self.method, CycleGANConfig) else "take linear"
            )
            raise ValueError(f"training: schedule plateau is judged by pictures that are kept aside; {remedy}")
        if isinstance(self.method, CycleGANConfig) and self.method.mixes_images:
            for name, off in (("accumulate", 1), ("recompute", False)):
                if getattr(self.training, name) != off:
                    raise ValueError(
                        f"training: {name} changes what a batch norm sees; take norm instance, or {str(off).lower()}"
                    )

    @property
    def channels(self) -> tuple[int, int]:
        """Of X and Y."""
        return self.data.channels_x, self.data.channels_y

    @property
    def is_usual(self) -> bool:
        """Whether both sides are 8-bit RGB."""
        return self.data.is_usual("x") and self.data.is_usual("y")


LESS_MEMORY = (
    "a step needs more memory than there is; set training.recompute to true, with which a run that was begun "
    "continues, or begin another (--set name=...) with a training.accumulate that divides data.batch_size, or with a "
    "smaller data.crop_size"
)


def train(path: Path, overrides: Sequence[str]) -> int:
    """Say what will happen, train or continue, then score."""
    carry_out(path, overrides)
    return 0


def carry_out(path: Path, overrides: Sequence[str]) -> Path:
    """What `train` does; gives the folder of the run."""
    experiment = load(path, Experiment, overrides)
    sources = find_sources(experiment.data)

    from cyclegan import distributed
    from cyclegan.evaluation.suite import WITHOUT_WEIGHTS
    from cyclegan.precision import choose_device
    from cyclegan.training.lock import locked
    from cyclegan.training.run import Run, SilentRun

    folder = RUNS / sources.domain / experiment.name
    joined = distributed.joined(choose_device(experiment.training.device, "training.device"))
    with joined as device, enough_memory(lambda: f"{path}: {LESS_MEMORY}"):
        if distributed.rank() > 0:
            _train(experiment, sources, SilentRun(folder), device)
            return folder
        with locked(folder):
            run = Run(folder, dump(experiment), environment(), 2 * experiment.data.batch_size, completed)
            _train(experiment, sources, run, device)
            run.add_hyperparameters(settings(experiment), score(folder, metrics=WITHOUT_WEIGHTS))
    return folder


def completed(text: str) -> str:
    """The settings of a run that began before some of them existed, with these at their defaults."""
    try:
        return dump(parse(text, Experiment, "config.yaml"))
    except ConfigError:
        return text


def _train(experiment: Experiment, sources: Sources, run: "Run", device: "torch.device") -> None:
    """Put method, data and judge together, say what will happen, and go."""
    from cyclegan import distributed
    from cyclegan.data.identity import Identity
    from cyclegan.data.unpaired import Unpaired, held_out
    from cyclegan.methods import build
    from cyclegan.training import loop
    from cyclegan.training.plan import checkpoint_bytes, describe, forecast, require_room
    from cyclegan.training.seeding import seed_step

    data, training = experiment.data, experiment.training
    distributed.require_shareable(experiment.method)
    seed_step(experiment.seed, step=0)
    pixels = kinds_of_sides(data, sources)
    method = build(experiment.method, experiment.channels).to(device)
    sides = sources.train_x, sources.train_y
    batches = Unpaired(*sides, data, experiment.seed, method.Batch, pixels, device, training.accumulate)
    first = loop.to(batches.batch_at(0), device)
    buffered = getattr(experiment.method, "buffer_size", 0)

    run.say(f"run       {run.folder}")
    run.say(f"images    {sources.x} {len(sources.train_x):,}, {sources.y} {len(sources.train_y):,}")
    if not experiment.is_usual:
        run.say(f"kinds     {sources.x} {pixels[0]}, {sources.y} {pixels[1]}; samples are in false color")
    run.leave_out([str(bad) for bad in sources.left_out])
    lines = [*filter(None, [sources.skipped]), *describe(method, first, training, device, done=run.steps_done())]
    if distributed.size() > 1:
        lines.append(f"processes {distributed.size()}, which share out every batch of {data.batch_size}; each of them:")
    for line in lines + forecast(method, first, training, device, done=run.steps_done(), buffered=buffered):
        run.say(line)
    if distributed.rank() == 0 and run.steps_done() < training.steps:  # one goes only when the next is there
        require_room(run.folder, 2 * checkpoint_bytes(method, first, buffered))

    shown = held_out(sources.test_x, sources.test_y, data, kind=method.Batch, pixels=pixels)
    known = loop.to(held_out(*sides, data, kind=method.Batch, pixels=pixels), device)
    judge = _judge(method, sources, data, run, lambda: method.preview(known).health, device)
    loop.train(
        method,
        batches,
        shown,
        training,
        run,
        seed=experiment.seed,
        device=device,
        about=about(experiment, sources, pixels),
        judge=judge,
        data=Identity((sources.x, sources.train_x), (sources.y, sources.train_y), run.moved),
    )


def _judge(
    method: "Trainable",
    sources: Sources,
    data: UnpairedConfig,
    run: "Run",
    health: Callable[[], Mapping[str, float]],
    device: "torch.device",
) -> "Examiner":
    """Who looks at a method that learns: at its health and, where some are kept aside, at validation pictures."""
    from cyclegan.data.unpaired import held_out
    from cyclegan.evaluation.examiner import PICTURES, Examiner, Validation
    from cyclegan.protocols import Directed
    from cyclegan.training.loop import to

    if not sources.validation_x or not isinstance(method, Directed):
        return Examiner({}, health)
    x, y = to(held_out(sources.validation_x, sources.validation_y, data, PICTURES), device)
    run.say(f"validates on {len(x)} + {len(y)} pictures kept aside; the best weights go to best.safetensors")
    return Examiner(Validation.of_each_way(method.translators, x, y), health)


def show(path: Path, overrides: Sequence[str]) -> int:
    """Print the resolved settings of an experiment or a run and, as comments, what training it takes on this device."""
    experiment = load(path / "config.yaml" if path.is_dir() else path, Experiment, overrides)
    print(dump(experiment), end="", flush=True)

    import torch

    from cyclegan.methods import build
    from cyclegan.networks.weights import only_what_is_here
    from cyclegan.precision import choose_device
    from cyclegan.training.plan import describe, forecast

    try:
        device = choose_device(experiment.training.device, "training.device")
        with only_what_is_here():
            method = build(experiment.method, experiment.channels).to(device)
    except UserError as error:  # it needs a device or weights that are not here; to show it is no reason to fetch them
        print(f"# no forecast: {error}")
        return 0
    shapes = [(experiment.data.batch_size, count, *2 * [experiment.data.crop_size]) for count in experiment.channels]
    buffered = getattr(experiment.method, "buffer_size", 0)
    with enough_memory(lambda: f"{path}: {LESS_MEMORY}"):
        batch = method.Batch(*(torch.rand(shape, device=device) * 2 - 1 for shape in shapes))
        lines = describe(method, batch, experiment.training, device)
        for line in lines + forecast(method, batch, experiment.training, device, buffered=buffered):
            print(f"# {line}")
    return 0


def score(
    folder: Path,
    out: Path | None = None,
    *,
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    fetch: bool = False,
) -> dict[str, float]:
    """What a run has learned beside rivals, and beside oracles where the right translations are known."""
    from cyclegan.evaluation.report import as_text, save_report, sheet
    from cyclegan.images import write
    from cyclegan.inference.load import load as load_trained
    from cyclegan.precision import choose_device
    from cyclegan.scoring import Asked, assess_run

    experiment = load(folder / "config.yaml", Experiment)
    sources = find_sources(experiment.data)
    if not isinstance(experiment.method, DirectedConfig):
        print(f"{experiment.method.name}: paints after examples; see it beside others with `cyclegan compare`")
        return {}
    if not experiment.is_usual:
        print(f"{folder}: no scores, as all of them compare 8-bit RGB; look at its samples")
        return {}

    last = load_trained(folder)
    name = f"{experiment.method.name}, step {last.step:,}"
    versions = {name: last}
    if (folder / "best.safetensors").exists():
        best = load_trained(folder / "best.safetensors")
        versions[f"{experiment.method.name}, best on validation, step {best.step:,}"] = best
    reports = assess_run(versions, sources, choose_device("auto"), Asked(count, fetch, metrics))
    out = out or folder / "evaluation"
    scores: dict[str, float] = {}
    for direction in (each for each in sources.directions() if each.name in reports):
        report = reports[direction.name]
        print(f"\n{direction.name}\n\n{as_text(report)}")
        said = report.assessment.values(name, ("realism", "symptoms"))
        scores |= {f"{direction.name}/{metric}": value for metric, value in said.items()}
        if report.evaluation:
            estimates = report.evaluation.rows[name].estimates
            scores |= {f"{direction.name}/{metric}": estimate.mean for metric, estimate in estimates.items()}
            picture = out / f"{direction.name}.png"
            write(picture, sheet(last.translator(direction.to), direction.test_sources, direction.truths))
            print(f"\nsource | translation | truth: {picture}")
    weights = {"weights": "exponential average", "rows": {row: loaded.step for row, loaded in versions.items()}}
    save_report(out, reports, {**last.about, **weights, "evaluated_by": environment()})
    print(f"\nnumbers, tables and pictures: {out / 'index.html'}")
    return scores


def settings(experiment: Experiment) -> dict[str, bool | int | float | str]:
    """Dotted names and values, for TensorBoard's table of hyper-parameters."""

    def walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, f"{name}.{key}" if name else key)
        elif value is not None:
            yield name, value if isinstance(value, bool | int | float | str) else printable(str(value))

    return dict(walk(asdict(experiment), ""))


def about(experiment: Experiment, sources: Sources, pixels: tuple[Kind, Kind] = (RGB, RGB)) -> dict[str, Any]:
    """What a released file says of itself."""
    from cyclegan.training.checkpoint import FORMAT

    return {
        "format": FORMAT,
        "library": __version__,
        "domain": sources.domain,
        "x": sources.x,
        "y": sources.y,
        "kinds": described(*pixels),
        "method": dump(experiment.method),
        "seed": experiment.seed,
        "ema": experiment.training.ema,
        "commit": commit(),
        "training_images": {sources.x: len(sources.train_x), sources.y: len(sources.train_y)},
    }
