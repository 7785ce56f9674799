"""Metrics of kept content: similarity of a translation to its source.

The identity is perfect in all of them, so they are meaningful only together with a distance from the target
domain.

Images     uint8 (h, w, 3), source and translation of equal size; compared in luma, since colors are meant to
           change.
Edge-F1    harmonic mean of the share of source edges that are kept and the share of translated edges that are
           not new: Canny (σ = 2), each edge pixel may move by one. 1: the same edges.
MS-SSIM    see cyclegan.functional.similarity; the protocol states how many scales were used. 1: equal.
Luma       Spearman's rank correlation of the luma of all pixels; negative if light and dark are exchanged.
Structure  `structure_distance`: Tumanyan et al. 2022 (Splice): the mean squared difference of the cosines
           between the features of all positions; here those of VGG-19's relu4_1 at 224 px and not of
           DINO-ViT, whose weights no public source offers as mere tensors. 0: equal.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.ndimage import binary_dilation
from scipy.stats import rankdata
from skimage.feature import canny
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from cyclegan.functional import similarity
from cyclegan.images.tensors import from_bytes
from cyclegan.networks.vgg import VGGFeatures

Picture = UInt8[np.ndarray, "h w 3"]

EDGE_SIGMA = 2.0
SIDE, LAYER = 224, "relu4_1"  # of the structure distance

EDGE_PROTOCOL = "F1 of Canny edges of luma, sigma 2, tolerance of one pixel, mean over images"
LUMA_PROTOCOL = "Spearman's correlation of luma, source and translation, mean over images"
STRUCTURE_PROTOCOL = f"MSE of cosine self-similarities of {LAYER} at {SIDE}×{SIDE}, mean over images"


def ms_ssim_protocol(scales: int) -> str:
    """Describe MS-SSIM at a number of scales."""
    return f"MS-SSIM of luma, {scales} scales of 5, Gaussian window of sigma 1.5, mean over images"


def scales_for(picture: UInt8[np.ndarray, "_ _ 3"]) -> int:
    """Return how many of the five scales an image is large enough for."""
    return similarity.scales_for(*picture.shape[:2])


def edge_f1(picture: Picture, source: Picture) -> float:
    """Compute Edge-F1, in 0 … 1; 1 if neither image has edges."""
    edges, others = (canny(to_luma(each), sigma=EDGE_SIGMA) for each in (picture, source))
    if not edges.any() and not others.any():
        return 1.0
    hits = (edges & _widened(others)).sum(), (others & _widened(edges)).sum()
    precision, recall = hits[0] / max(edges.sum(), 1), hits[1] / max(others.sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-12))


def ms_ssim(picture: Picture, source: Picture, scales: int | None = None) -> float:
    """Compute MS-SSIM of luma, at most 1."""
    x, y = (torch.from_numpy(to_luma(each))[None, None] for each in (picture, source))
    return float(similarity.ms_ssim(x, y, 255.0, scales_for(picture) if scales is None else scales))


def luma_correlation(picture: Picture, source: Picture) -> float:
    """Compute the rank correlation of luma, in -1 … 1; 0 if either does not vary."""
    x, y = (rankdata(to_luma(each).ravel()) for each in (picture, source))
    x, y = x - x.mean(), y - y.mean()
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length else 0.0


@torch.no_grad()
def structure_distance(network: VGGFeatures, picture: Picture, source: Picture, device: torch.device) -> float:
    """Compute the mean squared difference of self-similarities; the network must have the tap relu4_1."""
    one, other = (_self_similarity(network, from_bytes(each).to(device)) for each in (picture, source))
    return float((one - other).square().mean())


def to_luma(picture: Picture) -> Float[np.ndarray, "h w"]:
    """Compute luma in 0 … 255."""
    luma: np.ndarray = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return luma


def _self_similarity(network: VGGFeatures, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "positions positions"]:
    features = network(interpolate(image, (SIDE, SIDE), mode="bicubic", antialias=True))[LAYER]
    columns = normalize(features[0].flatten(1), dim=0)
    return columns.mT @ columns


def _widened(edges: np.ndarray) -> np.ndarray:
    """Widen by one pixel in all eight directions."""
    widened: np.ndarray = binary_dilation(edges, np.ones((3, 3), bool))
    return widened
