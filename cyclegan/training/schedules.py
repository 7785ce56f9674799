"""Learning rates as functions of the step."""

from cyclegan.training.settings import TrainingConfig

INVERSE_DECAY = 5e-5  # of AdaIN's learning rate, per step


def factor(config: TrainingConfig, step: int) -> float:
    """Factor of the learning rate at a 0-based step."""
    if config.schedule == "inverse":
        return inverse_decay(step)
    return linear_decay(step, config.steps, config.constant_share)


def inverse_decay(step: int) -> float:
    """1 / (1 + 5e-5 t), as the authors of AdaIN train (Huang & Belongie 2017)."""
    return 1 / (1 + INVERSE_DECAY * step)


def linear_decay(step: int, steps: int, constant_share: float) -> float:
    """Factor of the learning rate at a 0-based step: 1 at first, then falling linearly to reach 0 after the last step.

    CycleGAN, Sec. 7.1: constant for 100 epochs, to zero over the next 100. The authors' code lowers it once an
    epoch, this once a step.
    """
    decay_steps = steps - round(constant_share * steps)
    return min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0
