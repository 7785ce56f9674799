"""Random numbers from counters: the draws for sample k depend on (seed, side, k) alone.

A resumed run, a run with another number of workers, and a run that reads in another order therefore draw the
same numbers, and only the step has to be saved. NumPy's SeedSequence mixes the counters; Philox, a
counter-based generator, turns them into numbers.
"""

from functools import lru_cache

import numpy as np


def rng(*counters: int) -> np.random.Generator:
    """Return the generator of these counters."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(counters)))


@lru_cache(maxsize=8)
def permutation(count: int, *counters: int) -> np.ndarray:
    """Return the numbers 0 … count − 1 in random order."""
    return rng(count, *counters).permutation(count)


def shuffled_pass(sample: int, count: int, *counters: int) -> int:
    """Return the index, among `count` images, of sample number 0, 1, 2, ….

    Every pass contains each image once, in a new order.
    """
    epoch, position = divmod(sample, count)
    return int(permutation(count, epoch, *counters)[position])
