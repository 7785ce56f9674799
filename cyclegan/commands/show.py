"""`cyclegan show`: print the resolved settings of an experiment or a run, and a forecast of its training.

The forecast is for this device.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cyclegan.commands.arguments import add_overrides
from cyclegan.errors import UserError, expanded, out_of_memory_as


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan show`."""
    parser.add_argument("experiment", type=expanded, help="a YAML file or a run folder")
    add_overrides(parser)
    parser.set_defaults(run=lambda given: show(given.experiment, given.set))


def show(path: Path, overrides: Sequence[str]) -> int:
    """Print settings as YAML, and a forecast as comments."""
    from cyclegan.config import dump, load
    from cyclegan.experiment import Experiment

    experiment = load(path / "config.yaml" if path.is_dir() else path, Experiment, overrides)
    print(dump(experiment), end="", flush=True)

    from cyclegan.data.dataset import random_batch
    from cyclegan.device import choose_device
    from cyclegan.networks.weights import offline
    from cyclegan.training.forecast import describe, forecast

    try:
        device = choose_device(experiment.training.device, "training.device")
        with offline():
            method = experiment.method.build(experiment.data.spec).to(device)
    except UserError as error:  # needs a device or weights that are not here; nothing is fetched for a forecast
        print(f"# no forecast: {error}")
        return 0
    remedy = experiment.method.remedies.get("memory", "take a device that has more")
    with out_of_memory_as(lambda: f"{path}: a step needs more memory than there is; {remedy}"):
        batch = random_batch(experiment.data, device)
        lines = describe(method, batch, experiment.training, device)
        for line in lines + forecast(method, batch, experiment.training, device):
            print(f"# {line}")
    return 0
