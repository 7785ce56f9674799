"""Distances between two sets of images, computed from features: a measure of realism.

Features   (n, d) of n images, from an extractor of cyclegan.metrics.extractors; computed with in float64.
FID        Heusel et al. 2017: ‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½), the trace of the root as the sum of the
           roots of eigenvalues; smaller is better. Biased for few images, by an amount that depends on the
           set: never compare FIDs of different n.
KID        Bińkowski et al. 2018: the unbiased estimate of MMD², kernel (x · y / d + 1)³, over all pairs;
           smaller is better, 0 on average for two samples of one distribution, so it may be negative.
           `kid_subsets` is the form used in papers: mean and deviation over random subsets, here of 100
           images or of all.
Interval   of KID: ± 1.96 jackknife deviations, over the images of both sets. Resampling with replacement, the
           usual bootstrap, pairs an image with itself and so makes the estimate biased again.
Precision  and recall, Kynkäänniemi et al. 2019: the share of translations within the manifold of the targets,
           spheres up to the k-th neighbor, and the reverse; larger is better. Recall may rise when a few
           outliers, whose spheres are large, are mixed in: do not read it without precision.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

Features = Float[np.ndarray, "_ d"]

FID_PROTOCOL = "Frechet distance of Gaussians, root by eigenvalues"
KID_PROTOCOL = "MMD², unbiased over all pairs, kernel (x·y/d + 1)³; 95 % by the jackknife over images"
PRECISION_PROTOCOL = "share of translations within the spheres of targets up to their 3rd neighbors"
RECALL_PROTOCOL = "share of targets within the spheres of translations up to their 3rd neighbors"

NEIGHBORS = 3
SUBSET = 100  # images
QUANTILE = 1.96  # deviations of a 95 % interval


class Interval(NamedTuple):
    """Estimate and its 95 % interval."""

    mean: float
    low: float
    high: float


def fid(features: Features, targets: Features) -> float:
    """Compute the Fréchet distance; each set needs at least two images."""
    statistics = (fid_features_to_statistics(_double(set_)) for set_ in (features, targets))
    return _only(fid_statistics_to_metric(*statistics, verbose=False))


def kid(features: Features, targets: Features) -> float:
    """Compute MMD² over all pairs; each set needs at least two images."""
    return kid_interval(features, targets).mean


def kid_interval(features: Features, targets: Features) -> Interval:
    """Compute MMD² over all pairs, with its interval over the images of both sets."""
    x, y = (np.asarray(set_, dtype=np.float64) for set_ in (features, targets))
    within_x, within_y, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    np.fill_diagonal(within_x, 0)
    np.fill_diagonal(within_y, 0)
    n, m = len(x), len(y)
    estimate = _mean(within_x, n) + _mean(within_y, m) - 2 * across.mean()
    without_x = _without(within_x, n) + _mean(within_y, m) - 2 * (across.sum() - across.sum(1)) / ((n - 1) * m)
    without_y = _mean(within_x, n) + _without(within_y, m) - 2 * (across.sum() - across.sum(0)) / (n * (m - 1))
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    half = QUANTILE * np.sqrt(variance) if min(n, m) > 2 else np.inf
    return Interval(float(estimate), float(estimate - half), float(estimate + half))


def kid_subsets(
    features: Features, targets: Features, subsets: int = 100, size: int | None = None, seed: int = 0
) -> tuple[float, float]:
    """Compute mean and deviation of KID over random subsets of `size` images.

    The default size is 100, or all images if there are fewer.
    """
    size = min(SUBSET, len(features), len(targets)) if size is None else size
    options: dict[str, Any] = {
        "kid_subsets": subsets,
        "kid_subset_size": size,
        "rng_seed": seed,
        "verbose": False,
    }
    found = kid_features_to_metric(_double(features), _double(targets), **options)
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


def precision_recall(features: Features, targets: Features, k: int = NEIGHBORS) -> tuple[float, float]:
    """Compute precision and recall, in 0 … 1; each set needs more than k images."""
    found = prc_features_to_metric(_double(features), _double(targets), prc_neighborhood=k, verbose=False)
    return found["precision"], found["recall"]


def _kernel(x: Features, y: Features) -> Float[np.ndarray, "n m"]:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean(within: np.ndarray, n: int) -> float:
    """Compute the mean over the pairs of different images."""
    return within.sum() / (n * (n - 1))


def _without(within: np.ndarray, n: int) -> Float[np.ndarray, " n"]:
    """Compute the mean over pairs, leaving out each image in turn."""
    return (within.sum() - 2 * within.sum(axis=1)) / max((n - 1) * (n - 2), 1)


def _double(features: Features) -> torch.Tensor:
    return torch.as_tensor(np.asarray(features, dtype=np.float64))


def _only(found: dict[str, float]) -> float:
    (value,) = found.values()
    return value
