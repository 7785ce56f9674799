"""Learning rates as functions of the step; of how validation goes, too, where that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch

from cyclegan import distributed
from cyclegan.training.training_config import TrainingConfig

INVERSE_DECAY = 5e-5  # of AdaIN's learning rate, per step


@dataclass
class Schedule:
    """Says which share of the configured learning rate a step has."""

    config: TrainingConfig
    device: torch.device
    waited: int = 0  # looks in a row at which validation was no better
    drops: int = 0  # of a plateau schedule

    def factor(self, step: int) -> float:
        """At a 0-based step."""
        return warm_up(step, self.config.warmup_steps) * self._decay(step)

    def _decay(self, step: int) -> float:
        config = self.config
        match config.schedule:
            case "linear":
                return linear_decay(step, config.steps, config.constant_fraction)
            case "cosine":
                return cosine_decay(step, config.steps, config.constant_fraction)
            case "inverse":
                return inverse_decay(step)
            case "step":
                return config.decay ** (step // max(1, round(config.constant_fraction * config.steps)))
            case "plateau":
                self.drops = distributed.largest(self.drops, self.device)  # only the first process looks at the run
                return config.decay**self.drops
        return 1.0

    def hear(self, validation: Mapping[str, float], better: bool) -> None:
        """A look at the run has found its validation better than ever before, or not; or there was none."""
        if not validation:
            return
        self.waited = 0 if better else self.waited + 1
        if self.waited == self.config.patience:
            self.waited, self.drops = 0, self.drops + 1

    def parts(self) -> "dict[str, Schedule]":
        """What a checkpoint keeps of it: nothing, where all is a function of the step."""
        return {"schedule": self} if self.config.schedule == "plateau" else {}

    def state_dict(self) -> dict[str, Any]:
        """What was heard."""
        return {"waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        self.waited, self.drops = state["waited"], state["drops"]


def warm_up(step: int, steps: int) -> float:
    """A factor that rises linearly, to reach 1 at the last of so many steps."""
    return min(1.0, (step + 1) / steps) if steps else 1.0


def inverse_decay(step: int) -> float:
    """1 / (1 + 5e-5 t), as the authors of AdaIN train (Huang & Belongie 2017)."""
    return 1 / (1 + INVERSE_DECAY * step)


def linear_decay(step: int, steps: int, constant_fraction: float) -> float:
    """Factor of the learning rate at a 0-based step: 1 at first, then falling linearly to reach 0 after the last step.

    CycleGAN, Sec. 7.1: constant for 100 epochs, to zero over the next 100. The authors' code lowers it once an
    epoch, this once a step.
    """
    decay_steps = steps - round(constant_fraction * steps)
    return min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0


def cosine_decay(step: int, steps: int, constant_fraction: float) -> float:
    """The same, but falling along half a wave: (1 + cos π t) / 2 (Loshchilov & Hutter 2017, Eq. 5, no restarts)."""
    return (1 - cos(pi * linear_decay(step, steps, constant_fraction))) / 2
