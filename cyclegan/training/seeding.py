"""Seeds for every step, so that no state of a random generator needs to be saved."""

import random

import numpy as np
import torch


def seed_step(seed: int, step: int) -> None:
    """Seed Python, NumPy and PyTorch (CPU and GPU) by (seed, step); call it before any random draw."""
    mixed = int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    random.seed(mixed)
    np.random.seed(mixed % 2**32)  # noqa: NPY002 - a method may use the global generator; this makes it exact too
    torch.manual_seed(mixed)
