"""Patch-SWD: a distance between the small patches of two sets of images; needs no weights.

Papers     Rabin, Peyré, Delon, Bernot 2011 (sliced Wasserstein distance); Karras et al. 2018 (of patches of a
           Laplacian pyramid). Smaller is better; 0 for equal sets; biased upward for few images, so compare
           it with the reference row.
Patches    7×7 of RGB in [0, 1] from three levels: two of details and the residual. 64 places a level, spread
           over the image and the same in every image, so that the order of the images makes no difference.
Distance   the mean over levels of the mean over 256 random unit directions of W₁ between the projected
           patches.
Differs    from Karras et al.: patches are not normalized, since color and contrast belong to a style.
Interval   ± 1.96 deviations of the jackknife that leaves out one tenth of the images of either set at a
           time; it covers the spread and not the bias.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import gaussian_filter, zoom

from cyclegan.errors import UserError
from cyclegan.metrics.distribution import QUANTILE, Interval

LEVELS, SIDE, POSITIONS, DIRECTIONS = 3, 7, 64, 256
SMALLEST = SIDE * 2 ** (LEVELS - 1)  # px of a side
GROUPS = 10  # of the jackknife
POINTS = 1024  # quantiles at which two distributions are compared at most

SWD_PROTOCOL = (
    f"sliced W₁ of {SIDE}×{SIDE} patches, {LEVELS} Laplacian levels, {POSITIONS} places, {DIRECTIONS} directions"
)


class Projected(NamedTuple):
    """Patches of a set of images along every direction, sorted."""

    values: list[Float[np.ndarray, "directions patches"]]  # one for each level
    owners: list[Int[np.ndarray, "directions patches"]]  # the group of the image, for the jackknife


def patch_swd(pictures: Sequence[np.ndarray], targets: Sequence[np.ndarray], seed: int = 0) -> float:
    """Compute the distance between two sets of images, uint8 (h, w, 3), of any sizes from 28 pixels up."""
    return swd(project(pictures, seed), project(targets, seed))


def project(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], seed: int = 0) -> Projected:
    """Project the patches of a set of images; sets that are compared need the same seed."""
    require_patch_size(pictures)
    random = np.random.default_rng(seed)
    places = [random.random((POSITIONS, 2)) for _ in range(LEVELS)]
    directions = [_unit(random.normal(size=(3 * SIDE**2, DIRECTIONS))) for _ in range(LEVELS)]
    group = _spread(len(pictures))
    values: list[list[np.ndarray]] = [[] for _ in range(LEVELS)]
    for picture in pictures:
        for level, band in enumerate(_pyramid(picture)):
            values[level].append(_patches(band, places[level]) @ directions[level])
    owner = np.repeat(group, POSITIONS)
    found = [np.ascontiguousarray(np.concatenate(level).T, dtype=np.float32) for level in values]
    orders = [np.argsort(level, axis=1, kind="stable") for level in found]
    sorted_values = [np.take_along_axis(level, order, axis=1) for level, order in zip(found, orders, strict=True)]
    return Projected(sorted_values, [owner[order] for order in orders])


def require_patch_size(pictures: Sequence[np.ndarray]) -> None:
    """Raise UserError if an image is too small for the patches of the coarsest level."""
    shortest = min((min(picture.shape[:2]) for picture in pictures), default=SMALLEST)
    if shortest < SMALLEST:
        raise UserError(
            f"patch-swd: an image has a side of {shortest} pixels, of which it needs {SMALLEST}; take larger images or "
            "crops, or leave patch-swd (in training: data.validation) out"
        )


def swd(x: Projected, y: Projected) -> float:
    """Compute the distance between two projected sets."""
    return float(np.mean([_wasserstein(a, b) for a, b in zip(x.values, y.values, strict=True)]))


def swd_interval(x: Projected, y: Projected) -> Interval:
    """Compute the distance with its interval over the images of both sets."""
    distance = swd(x, y)
    spread = _jackknife([swd(part, y) for part in _leave_out(x)]) + _jackknife([swd(x, part) for part in _leave_out(y)])
    half = QUANTILE * np.sqrt(spread)
    return Interval(distance, max(0.0, float(distance - half)), float(distance + half))


def _leave_out(x: Projected) -> list[Projected]:
    """Return the set without each group of images in turn."""
    groups = np.unique(x.owners[0])
    if len(groups) < 2:
        return []
    parts = []
    for group in groups:
        kept = [owners != group for owners in x.owners]
        values = [level[keep].reshape(DIRECTIONS, -1) for level, keep in zip(x.values, kept, strict=True)]
        parts.append(Projected(values, []))
    return parts


def _jackknife(distances: Sequence[float]) -> float:
    """Compute the variance from the distances without each group."""
    if not distances:
        return np.inf
    return (len(distances) - 1) * float(np.var(distances))


def _spread(count: int) -> Int[np.ndarray, " count"]:
    """Assign images to equal groups."""
    return np.arange(count) % min(GROUPS, max(count, 1))


def _wasserstein(x: Float[np.ndarray, "d n"], y: Float[np.ndarray, "d m"]) -> float:
    """Compute the mean over directions of W₁ between sorted samples.

    Samples that are large or differ in size are compared at quantiles.
    """
    if x.shape != y.shape:
        points = min(POINTS, max(x.shape[1], y.shape[1]))
        x, y = _quantiles(x, points), _quantiles(y, points)
    return float(np.abs(x - y).mean(dtype=np.float64))


def _quantiles(values: Float[np.ndarray, "d n"], points: int) -> Float[np.ndarray, "d points"]:
    return values[:, ((np.arange(points) + 0.5) / points * values.shape[1]).astype(int)]


def _pyramid(picture: UInt8[np.ndarray, "h w 3"]) -> list[Float[np.ndarray, "_ _ 3"]]:
    """Return details at one pixel, details at two pixels, and the residual at a quarter of the size."""
    rest = picture / 255.0
    bands = []
    for _ in range(LEVELS - 1):
        smooth = gaussian_filter(rest, sigma=(1, 1, 0), mode="reflect")
        smaller = smooth[::2, ::2]
        factors = (rest.shape[0] / smaller.shape[0], rest.shape[1] / smaller.shape[1], 1)
        bands.append(rest - zoom(smaller, factors, order=1, mode="nearest", grid_mode=True))
        rest = smaller
    return [*bands, rest]


def _patches(band: Float[np.ndarray, "h w 3"], places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n pixels"]:
    """Cut patches at places in 0 … 1 of the range that a patch can move over."""
    views = np.lib.stride_tricks.sliding_window_view(band, (SIDE, SIDE), axis=(0, 1))
    rows, columns = (places * views.shape[:2]).astype(int).T
    return views[rows, columns].reshape(len(places), -1)


def _unit(columns: Float[np.ndarray, "pixels n"]) -> Float[np.ndarray, "pixels n"]:
    return columns / np.linalg.norm(columns, axis=0)
