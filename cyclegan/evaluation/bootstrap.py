"""Confidence intervals of means over test images: percentile bootstrap of Efron (1979), paired over images.

Every call with the same number of images and the same seed draws the same images, so the interval of a
difference between two translators is that of the differences image by image: `bootstrap(a - b)`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000
CONFIDENCE = 95  # percent


class Estimate(NamedTuple):
    """Mean and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: Float[np.ndarray, " images"], seed: int = 0) -> Estimate:
    """Mean over images, and its interval in 95 % of 2000 draws of as many images with replacement."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(values[drawn].mean(axis=1), [tail, 100 - tail])
    return Estimate(float(values.mean()), float(low), float(high))
