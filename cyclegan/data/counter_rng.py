"""Random numbers from counters: what is drawn for sample k follows from (seed, side, k) alone.

So a resumed run, another number of workers or another order of reading draws the same, and only the step needs saving.
NumPy's SeedSequence mixes the counters; Philox, a counter-based generator, turns them into numbers.
"""

from functools import lru_cache

import numpy as np


def draws(*counters: int) -> np.random.Generator:
    """A generator of its own for these counters."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(counters)))


@lru_cache(maxsize=8)
def permutation(count: int, *counters: int) -> np.ndarray:
    """A shuffled 0 … count − 1."""
    return draws(count, *counters).permutation(count)


def shuffled_pass(sample: int, count: int, *counters: int) -> int:
    """Which of `count` pictures is sample number 0, 1, 2, …: every pass shows each once, in an order of its own."""
    epoch, position = divmod(sample, count)
    return int(permutation(count, epoch, *counters)[position])
