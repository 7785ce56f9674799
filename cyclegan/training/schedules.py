"""Learning rates as functions of the step."""


def linear_decay(step: int, steps: int, constant_share: float) -> float:
    """Factor of the learning rate at a 0-based step: 1 at first, then falling linearly to reach 0 after the last step.

    CycleGAN, Sec. 7.1: constant for 100 epochs, to zero over the next 100. The authors' code lowers it once an
    epoch, this once a step.
    """
    decay_steps = steps - round(constant_share * steps)
    return min(1.0, (steps - step) / decay_steps) if decay_steps else 1.0
