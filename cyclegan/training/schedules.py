"""Learning rates as functions of the step and, where chosen, of the course of validation."""

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
    """Factor of the configured learning rate at each step."""

    config: TrainingConfig
    device: torch.device
    waited: int = 0  # checks in a row without a better validation
    drops: int = 0  # of a plateau schedule

    def factor(self, step: int) -> float:
        """Return the factor at a 0-based step."""
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
                self.drops = distributed.all_reduce_max(
                    self.drops, self.device
                )  # only the first process validates the run
                return config.decay**self.drops
        return 1.0

    def update(self, validation: Mapping[str, float], better: bool) -> None:
        """Record whether a validation was better than all before; without validation, do nothing."""
        if not validation:
            return
        self.waited = 0 if better else self.waited + 1
        if self.waited == self.config.patience:
            self.waited, self.drops = 0, self.drops + 1

    def parts(self) -> "dict[str, Schedule]":
        """Return what a checkpoint keeps of the schedule: nothing, where all is a function of the step."""
        return {"schedule": self} if self.config.schedule == "plateau" else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the number of checks without a better validation, and of drops."""
        return {"waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict returned."""
        self.waited, self.drops = state["waited"], state["drops"]


def warm_up(step: int, steps: int) -> float:
    """Return a factor that rises linearly and reaches 1 at the last of `steps` steps."""
    return min(1.0, (step + 1) / steps) if steps else 1.0


def inverse_decay(step: int) -> float:
    """Return 1 / (1 + 5e-5 t), the schedule of the authors of AdaIN (Huang & Belongie 2017)."""
    return 1 / (1 + INVERSE_DECAY * step)


def linear_decay(step: int, steps: int, constant_fraction: float) -> float:
    """Return the factor at a 0-based step: 1 at first, then falling linearly to reach 0 after the last step.

    CycleGAN, Sec. 7.1: constant for 100 epochs, then linearly to zero over the next 100. The authors' code
    lowers the rate once an epoch, this function once a step.
    """
    decay_steps = steps - round(constant_fraction * steps)
    return min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0


def cosine_decay(step: int, steps: int, constant_fraction: float) -> float:
    """Return the factor at a 0-based step: 1 at first, then along half a wave to 0 after the last step.

    (1 + cos π t) / 2, with t the share of the decay that is done (Loshchilov & Hutter 2017, Eq. 5, no
    restarts).
    """
    return (1 - cos(pi * linear_decay(step, steps, constant_fraction))) / 2
