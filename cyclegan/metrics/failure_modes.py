"""Failure modes of generators and discriminators: numbers that detect them, and thresholds.

change        mean |translation − source| in levels of 255; near 0 means that nothing is learned.
luma          mean over images of Spearman's correlation of luma with the source; clearly negative means
              that light and dark are exchanged. About 0: an unrelated image.
inversion     the share of images with a negative correlation.
diversity     mean distance between two translations / mean distance between their sources, for RGB reduced to
              32×32; near 0 means that all translations collapse to one.
distinct      the share of translations that differ from all others by more than 1e-3 of the range, reduced in
              the same way.
checkerboard  power of luma at the frequencies 1/4 and 1/2 of the pixel grid over that of their neighbors: the
              median over images, of the worst frequency. About 1 for photographs and paintings, 3 for
              generators with good results, hundreds if stride and kernel of an up-sampling do not match.
copying       the share of translations that are nearly a training image (cyclegan.data.duplicates).
saturation    of a discriminator: the difference between its scores of real and translated images; at 1 it is
              always right and gives the generator no signal.
overfit       of a discriminator: the part of the score difference between training images and translations
              that is missing for new real images (r_v of Karras et al. 2020, Eq. 1): 0 if it has learned
              real images in general, 1 if it has memorized its training images. Also 0 if it hardly
              distinguishes anything.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from cyclegan.data.duplicates import NEAR, shapes
from cyclegan.metrics.structure import luma_correlation, to_luma

Pictures = Sequence[UInt8[np.ndarray, "_ _ 3"]]

BOX = Image.Resampling.BOX
SIDE = 32  # px of the reduced images for diversity
DISTINCT = 1e-3  # of the range
GRID = [
    (0, 1),
    (0, 2),
    (1, 0),
    (1, 1),
    (1, 2),
    (1, 3),
    (2, 0),
    (2, 1),
    (2, 2),
]  # quarters of the sampling frequency
AROUND = np.array([-5, -4, -3, -2, 2, 3, 4, 5])  # the neighbors of a frequency
TELLS_APART = 0.2  # differences of mean scores below this are noise
ROUNDING = 1 / 12  # levels²: the power of rounding to 8 bits


def overfit(trained: float, held_out: float, fake: float) -> float:
    """Compute the overfitting of a discriminator, given mean scores of training, held-out and fake images."""
    return (trained - held_out) / (trained - fake) if trained - fake > TELLS_APART else 0.0


class FailureMode(NamedTuple):
    """Threshold of a number beyond which training fails, with its meaning."""

    title: str
    when: Callable[[float], bool]
    meaning: str


FAILURE_MODES = {
    "change": FailureMode(
        "identity",
        lambda levels: levels < 1.0,
        "levels of 255 is all that changes",
    ),
    "luma": FailureMode(
        "color inversion",
        lambda correlation: correlation < -0.25,
        "is the correlation of light and dark with the source: they have changed places",
    ),
    "diversity": FailureMode(
        "mode collapse",
        lambda ratio: ratio < 0.2,
        "times as different as their sources are the translations",
    ),
    "checkerboard": FailureMode(
        "checkerboard",
        lambda power: power > 60.0,
        "times the power of its neighbors has a frequency of the pixel grid",
    ),
    "copying": FailureMode(
        "copying",
        lambda share: share > 0.05,
        "of the translations are training images",
    ),
    "overfit": FailureMode(
        "overfitting",
        lambda share: share > 0.75,
        "of what the discriminator tells apart are its training images themselves",
    ),
    "saturation": FailureMode(
        "saturated discriminator",
        lambda gap: gap > 0.9,
        "of 1 separates its scores of real and of translated images, so that the generator learns nothing from it",
    ),
}


def measure_failure_modes(sources: Pictures, translations: Pictures, trained: Pictures = ()) -> dict[str, float]:
    """Measure all modes except saturation and overfit; `copying` only if training images are given.

    Diversity needs two images or more, and translations of the same sizes as their sources.
    """
    correlations = np.array(list(map(luma_correlation, translations, sources)))
    found = {
        "change": float(
            np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(translations, sources, strict=True)])
        ),
        "luma": float(correlations.mean()),
        "inversion": float((correlations < 0).mean()),
        "checkerboard": checkerboard(translations),
    }
    if len(sources) > 1:
        found |= {"diversity": diversity(translations, sources), "distinct": distinct(translations)}
    if trained:
        found["copying"] = copying(translations, trained)
    return found


def failures(found: Mapping[str, float], remedies: Mapping[str, str]) -> dict[str, str]:
    """Map the title of each failure mode to the number, its meaning, and the remedy for the method.

    The remedy is left out if the method gives none.
    """
    modes = {name: FAILURE_MODES[name] for name in found if name in FAILURE_MODES}
    failed = {name: mode for name, mode in modes.items() if mode.when(found[name])}
    return {
        mode.title: "; ".join(filter(None, (f"{found[name]:.2f} {mode.meaning}", remedies.get(name))))
        for name, mode in failed.items()
    }


def diversity(translations: Pictures, sources: Pictures) -> float:
    """Compute mean distance of translations / mean distance of sources.

    A value of 1 means that translations are as different as the sources.
    """
    return float(pdist(_small(translations)).mean() / max(pdist(_small(sources)).mean(), 1e-12))


def distinct(translations: Pictures) -> float:
    """Compute the share of translations that differ from all others."""
    small = _small(translations)
    distances = squareform(pdist(small, "cityblock")) / small.shape[1] + np.diag([np.inf] * len(small))
    return float((distances.min(axis=1) > 255 * DISTINCT).mean())


def copying(translations: Pictures, trained: Pictures) -> float:
    """Compute the share of translations that are nearly training images."""
    return float(((shapes(translations) @ shapes(trained).T).max(axis=1) > NEAR).mean())


def checkerboard(translations: Pictures) -> float:
    """Compute the power at the frequencies of the pixel grid over that at neighboring frequencies.

    Images need 16 pixels a side or more.
    """
    return float(np.median([_grid_power(picture) for picture in translations], axis=0).max())


def _small(pictures: Pictures) -> Float[np.ndarray, "n pixels"]:
    size = (SIDE, SIDE)
    return np.stack([np.asarray(Image.fromarray(p).resize(size, BOX), dtype=float).ravel() for p in pictures])


def _grid_power(picture: UInt8[np.ndarray, "_ _ 3"]) -> Float[np.ndarray, " frequencies"]:
    """Compute the power ratio at each frequency of the grid, under a Hann window.

    Sides are cut to multiples of 8.
    """
    h, w = (size - size % 8 for size in picture.shape[:2])
    luma = to_luma(picture[:h, :w])
    window = np.outer(np.hanning(h + 1)[:h], np.hanning(w + 1)[:w])
    power = np.abs(np.fft.fft2((luma - (luma * window).sum() / window.sum()) * window)) ** 2
    floor = ROUNDING * np.square(window).sum()
    ratios = []
    for i, j in GRID:
        row, column = i * h // 4, j * w // 4
        around = max(np.median(power[(row + AROUND) % h, column]), np.median(power[row, (column + AROUND) % w]))
        ratios.append((power[row, column] + floor) / (around + floor))
    return np.array(ratios)
