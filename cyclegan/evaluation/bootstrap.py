"""Confidence intervals of means over test images: percentile bootstrap of Efron (1979), paired over images.

Every call with the same number of images and the same seed resamples the same images. The interval of the
difference between two translators is therefore that of the image-by-image differences: `bootstrap(a - b)`.
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
    """Compute the mean over images and its 95 % interval, from 2000 resamples with replacement."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(values[drawn].mean(axis=1), [tail, 100 - tail])
    return Estimate(float(values.mean()), float(low), float(high))
