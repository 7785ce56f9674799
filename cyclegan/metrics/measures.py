"""Metrics of a whole set of translations: functions of (translations, data).

Returned   a value with its interval, or one value for each image.
Intervals  95 %: of KID and patch-SWD by the jackknife over the images of both sets, of means over images by
           the bootstrap. FID, precision and recall have none: for few images their bias is larger than their
           spread.
"""

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.functional.statistics import gram_matrix
from cyclegan.images.tensors import from_bytes
from cyclegan.losses.perceptual import content_loss_mean
from cyclegan.metrics import distribution, patches, structure
from cyclegan.metrics.evaluation_data import STYLE_LAYERS, EvaluationData, Picture, Pictures
from cyclegan.metrics.failure_modes import measure_failure_modes
from cyclegan.networks.vgg import VGGFeatures

Raw: TypeAlias = tuple[float, float | None, float | None] | Float[np.ndarray, " images"]

NAN = (float("nan"), None, None)


def measure_patch_swd(pictures: Pictures, data: EvaluationData) -> Raw:
    """Compute the sliced Wasserstein distance of patches to those of the references."""
    references = data.once("patches", data.references, lambda: patches.project(data.references))
    return patches.swd_interval(patches.project(pictures), references)


def measure_kid(pictures: Pictures, data: EvaluationData, network: str) -> Raw:
    """Compute KID in the features of an extractor; NaN for a single image."""
    sets = _features(pictures, data, network)
    return distribution.kid_interval(*sets) if min(map(len, sets)) > 1 else NAN


def measure_fid(pictures: Pictures, data: EvaluationData, network: str) -> Raw:
    """Compute FID in the features of an extractor; NaN for a single image."""
    sets = _features(pictures, data, network)
    return (distribution.fid(*sets), None, None) if min(map(len, sets)) > 1 else NAN


def measure_precision(pictures: Pictures, data: EvaluationData, network: str) -> Raw:
    """Compute precision in the features of an extractor; NaN for three images or fewer."""
    return _shares(pictures, data, network)[0], None, None


def measure_recall(pictures: Pictures, data: EvaluationData, network: str) -> Raw:
    """Compute recall in the features of an extractor; NaN for three images or fewer."""
    return _shares(pictures, data, network)[1], None, None


def _features(pictures: Pictures, data: EvaluationData, network: str) -> tuple[np.ndarray, np.ndarray]:
    return data.features(network, pictures), data.features(network, data.references)


def _shares(pictures: Pictures, data: EvaluationData, network: str) -> tuple[float, float]:
    sets = _features(pictures, data, network)
    if min(map(len, sets)) <= distribution.NEIGHBORS:
        return NAN[0], NAN[0]
    return data.once(f"shares in {network}", pictures, lambda: distribution.precision_recall(*sets))


def measure_ms_ssim(pictures: Pictures, data: EvaluationData) -> Raw:
    """Compute MS-SSIM to the sources, at as many scales as the smallest of them allows."""
    scales = scales_of(data)
    return np.array([structure.ms_ssim(*pair, scales) for pair in zip(pictures, data.sources, strict=True)])


def scales_of(data: EvaluationData) -> int:
    """Return the number of scales of MS-SSIM that all sources allow."""
    return min(map(structure.scales_for, data.sources))


def measure_lpips(pictures: Pictures, data: EvaluationData, network: str) -> Raw:
    """Compute LPIPS to the sources."""
    distance = data.network(network)
    return np.array([distance(*pair) for pair in zip(pictures, data.sources, strict=True)])


def measure_structure(pictures: Pictures, data: EvaluationData) -> Raw:
    """Compute the distance between the self-similarities of translation and source."""
    vgg, pairs = data.network("structure").features, zip(pictures, data.sources, strict=True)
    return np.array([structure.structure_distance(vgg, *pair, data.device) for pair in pairs])


def measure_failure_mode(pictures: Pictures, data: EvaluationData, name: str) -> Raw:
    """Compute one of the numbers of cyclegan.metrics.failure_modes; NaN if it is undefined."""
    found = data.once("failure modes", pictures, lambda: measure_failure_modes(data.sources, pictures, data.trained))
    return found.get(name, NAN[0]), None, None


def measure_gram(pictures: Pictures, data: EvaluationData) -> Raw:
    """Compute the distance of Gram matrices from the mean Gram matrices of the references."""
    return _style_distances(pictures, data)[0]


def measure_perceptual(pictures: Pictures, data: EvaluationData) -> Raw:
    """Compute the distance of deep features from those of the source."""
    return _style_distances(pictures, data)[1]


def _style_distances(pictures: Pictures, data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    return data.once("style", pictures, lambda: _compute_style_distances(pictures, data))


def _compute_style_distances(pictures: Pictures, data: EvaluationData) -> tuple[np.ndarray, np.ndarray]:
    vgg, targets = (
        data.network("style").features,
        data.once("Gram", data.references, lambda: _mean_grams(data)),
    )
    grams, contents = [], []
    for picture, source in zip(pictures, data.sources, strict=True):
        found, deep = _style(vgg, picture, data.device)
        grams.append(sum(float((a - b).square().mean()) for a, b in zip(found, targets, strict=True)))
        contents.append(float(content_loss_mean(deep, _style(vgg, source, data.device)[1])))
    return np.array(grams), np.array(contents)


def _mean_grams(data: EvaluationData) -> list[Tensor]:
    vgg = data.network("style").features
    taps = [_style(vgg, picture, data.device)[0] for picture in data.references]
    return [torch.stack(grams).mean(dim=0) for grams in zip(*taps, strict=True)]


@torch.no_grad()
def _style(vgg: VGGFeatures, picture: Picture, device: torch.device) -> tuple[list[Tensor], Float[Tensor, "1 c h w"]]:
    """Return (Gram matrices, features of the deepest layer)."""
    taps = vgg(from_bytes(picture).to(device))
    return [gram_matrix(features)[0] for features in taps.values()], taps[STYLE_LAYERS[-1]]
