"""Experiment: the settings of one YAML file of experiments/, everything that decides what a run will be."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclegan.config import dump, parse
from cyclegan.data.data_config import DATA
from cyclegan.data.spec import DataSpec
from cyclegan.errors import ConfigError, UserError
from cyclegan.methods import METHODS
from cyclegan.training.training_config import TrainingConfig

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Method, data, training; they are checked against each other."""

    name: str  # of the run's folder, runs/<data>/<name>
    seed: int = 0
    data: Annotated[Any, DATA]
    training: TrainingConfig
    method: Annotated[Any, METHODS] = field(default_factory=METHODS.default)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\W_][^/\\]{,99}", self.name) or not self.name.isprintable():
            raise ValueError("name: must be that of a folder: a letter or digit first, at most 100 in all, no / or \\")
        if self.seed < 0:
            raise ValueError("seed: must be at least 0")
        self.check()

    def check(self, processes: int = 1) -> None:
        """Raise ValueError where method, data, training and a number of processes do not fit each other."""
        kinds = self.method.learns_from
        if kinds and self.data.name not in kinds:
            raise ValueError(
                f"data: {self.method.name} learns from {' or '.join(kinds)} data, not from {self.data.name}"
            )
        self.method.check(self._spec(), self.training, processes)

    def _spec(self) -> DataSpec:
        try:
            return self.data.spec
        except UserError as error:  # an unknown domain
            raise ValueError(f"data: {error}") from error


def complete(text: str) -> str:
    """Settings of an older run, with the defaults of those that did not exist then, under today's names."""
    try:
        return dump(parse(text, Experiment, "config.yaml"))
    except ConfigError:
        return text
