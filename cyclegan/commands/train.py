"""`cyclegan train`: print a forecast, train or continue, then score."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclegan.commands.arguments import add_overrides, folder
from cyclegan.errors import UserError, expanded, out_of_memory_as, printable

if TYPE_CHECKING:
    import torch

    from cyclegan.data.dataset import Dataset
    from cyclegan.experiment import Experiment
    from cyclegan.training.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan train`."""
    parser.add_argument("experiment", type=expanded, nargs="?", help="experiments/cyclegan/photo2painting.yaml")
    parser.add_argument("--x", type=folder, help="instead of a file: a folder of images to translate from …")
    parser.add_argument("--y", type=folder, help="… and one to translate to; settings are suggested, shown and saved")
    parser.add_argument(
        "--styles", type=expanded, nargs="+", metavar="IMAGE", help="data.styles: style images, or a folder of them"
    )
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Train the experiment of a file, or on two folders."""
    folders = (given.x, given.y)
    if given.experiment is not None and folders == (None, None):
        train(given.experiment, [*style_overrides(given.styles), *given.set])
        return 0
    if given.experiment is None and None not in folders and not given.styles:
        from cyclegan.commands.train_folders import train_folders

        return train_folders(*folders, given.set)
    if given.styles and given.experiment is None:
        raise UserError("--styles: give the YAML file of an experiment, too, such as experiments/cin/photo2monet.yaml")
    raise UserError("train: give either the YAML file of an experiment, or two folders: --x photos --y paintings")


def style_overrides(given: Sequence[Path] | None) -> list[str]:
    """Return the override of data.styles by the images given, those of a folder in the order of their names."""
    if not given:
        return []
    from cyclegan.images.find import find_images, none_found, skipped_below

    if skipped := skipped_below(given):
        print(printable(skipped))
    found = [image for path in given for image in (find_images(path) if path.is_dir() else [path])]
    if not found:
        raise none_found(*given)
    return [f"data.styles={json.dumps([str(path) for path in found], ensure_ascii=False)}"]  # JSON is YAML


def train(path: Path, overrides: Sequence[str]) -> Path:
    """Train the experiment of a file, or continue it; return the folder of the run."""
    from cyclegan.config import dump, load
    from cyclegan.experiment import RUNS, Experiment, complete

    experiment = load(path, Experiment, overrides)

    from cyclegan import distributed
    from cyclegan.commands.evaluate import evaluate_run
    from cyclegan.data.dataset import open_dataset
    from cyclegan.device import choose_device
    from cyclegan.metrics.table import WITHOUT_WEIGHTS
    from cyclegan.training.lock import locked
    from cyclegan.training.provenance import environment
    from cyclegan.training.run import NullRecorder, Run

    joined = distributed.process_group(choose_device(experiment.training.device, "training.device"))
    remedy = experiment.method.remedies.get("memory", "take a device that has more")
    with joined as device, out_of_memory_as(lambda: f"{path}: a step needs more memory than there is; {remedy}"):
        require_processes(experiment, distributed.world_size())
        dataset = open_dataset(experiment.data, experiment.seed, device, experiment.training.accumulate)
        folder = RUNS / dataset.name / experiment.name
        if distributed.rank() > 0:
            _train(experiment, dataset, NullRecorder(folder), device)
            return folder
        with locked(folder):
            run = Run(folder, dump(experiment), environment(), complete)
            _train(experiment, dataset, run, device)
            run.add_hyperparameters(flat_settings(experiment), evaluate_run(folder, metrics=WITHOUT_WEIGHTS))
    return folder


def require_processes(experiment: "Experiment", processes: int) -> None:
    """Raise UserError for a method that several processes would not train as one process does."""
    try:
        experiment.check(processes)
    except ValueError as error:
        raise UserError(str(error)) from error


def _train(experiment: "Experiment", dataset: "Dataset", run: "Run", device: "torch.device") -> None:
    from cyclegan.evaluation.validation import Validator
    from cyclegan.protocols import Prepares
    from cyclegan.training import loop
    from cyclegan.training.seeding import seed_step

    seed_step(experiment.seed, step=0)
    method = experiment.method.build(dataset.spec).to(device)
    if isinstance(method, Prepares) and not run.steps_done():
        method.prepare({name: images.to(device) for name, images in dataset.styles().items()})
    _announce(experiment, dataset, method, run, device)
    loop.train(
        method,
        dataset.stream,
        dataset.held_out("test"),
        experiment.training,
        run,
        seed=experiment.seed,
        device=device,
        about=metadata(experiment, dataset, method),
        validator=Validator.of(method, dataset, experiment.method.remedies, device),
        data=dataset.fingerprint,
    )


def _announce(experiment: "Experiment", dataset: "Dataset", method: Any, run: "Run", device: "torch.device") -> None:
    """Print the method, the data and a forecast; refuse a disk without room for two checkpoints."""
    from cyclegan import distributed
    from cyclegan.training import loop
    from cyclegan.training.forecast import checkpoint_bytes, describe, forecast, require_room

    first, done = loop.to(dataset.stream.batch_at(0), device), run.steps_done()
    run.say(f"run       {run.folder}")
    for line in dataset.describe():
        run.say(line)
    run.leave_out(dataset.unreadable)
    dataset.fingerprint.note_moved(run.moved)
    lines = describe(method, first, experiment.training, device, done=done)
    if distributed.world_size() > 1:
        lines.append(
            f"processes {distributed.world_size()}, which share every batch of {experiment.data.batch_size}; each:"
        )
    for line in lines + forecast(method, first, experiment.training, device, done=done):
        run.say(line)
    if distributed.rank() == 0 and done < experiment.training.steps:  # a save needs room for one more
        require_room(run.folder, 2 * checkpoint_bytes(method, first))


def metadata(experiment: "Experiment", dataset: "Dataset", method: Any) -> dict[str, Any]:
    """Build the description of a run's releases; see cyclegan.release."""
    from cyclegan.config import dump
    from cyclegan.protocols import Translates
    from cyclegan.release import describe
    from cyclegan.training.provenance import commit

    return describe(
        dataset.spec,
        method.translators if isinstance(method, Translates) else dataset.spec.targets[:1],
        domain=dataset.name,
        method=dump(experiment.method),
        seed=experiment.seed,
        ema=experiment.training.ema,
        commit=commit(),
        training_images=dict(dataset.counts),
    )


def flat_settings(experiment: "Experiment") -> dict[str, bool | int | float | str]:
    """Return settings by dotted name, for TensorBoard's table of hyperparameters."""

    def walk(value: Any, name: str) -> Iterator[tuple[str, bool | int | float | str]]:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, f"{name}.{key}" if name else key)
        elif value is not None:
            yield name, value if isinstance(value, bool | int | float | str) else printable(str(value))

    return dict(walk(asdict(experiment), ""))
