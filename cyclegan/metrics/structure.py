"""Is the content kept? Distances of one translation from its source. Doing nothing is perfect in all of them, so they
mean something only beside a distance from the target domain.

Pictures   uint8 (h, w, 3), source and translation of equal size; compared in luma, since colors are meant to change.
Edge-F1    harmonic mean of the share of edges that are kept and of edges that are not new: Canny (σ = 2), each edge
           pixel may move by one. 1: the same edges.
MS-SSIM    Wang, Simoncelli, Bovik 2003, five scales with their weights; pictures of less than 176 pixels a side have
           room for fewer, whose weights are made to sum to 1: the protocol says how many. 1: equal.
Luma       Spearman's rank correlation of the luma of all pixels; negative where light and dark have changed places.
Structure  `structure_distance`: Tumanyan et al. 2022 (Splice): the mean squared difference of the cosines between the
           features of all positions; here those of VGG-19's relu4_1 at 224 px and not of DINO-ViT, whose weights no
           public source offers as mere tensors. 0: equal.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.stats import rankdata
from skimage.feature import canny
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from cyclegan.images import from_bytes
from cyclegan.networks.vgg import VGGFeatures

Picture = UInt8[np.ndarray, "h w 3"]

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the paper's weights, finest first
WINDOW = 11  # px of a side of the Gaussian window, σ = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
EDGE_SIGMA = 2.0
SIDE, LAYER = 224, "relu4_1"  # of the structure distance

EDGE_PROTOCOL = "F1 of Canny edges of luma, sigma 2, tolerance of one pixel, mean over images"
LUMA_PROTOCOL = "Spearman's correlation of luma, source and translation, mean over images"
STRUCTURE_PROTOCOL = f"MSE of cosine self-similarities of {LAYER} at {SIDE}×{SIDE}, mean over images"


def ms_ssim_protocol(scales: int) -> str:
    """How MS-SSIM was measured."""
    return f"MS-SSIM of luma, {scales} scales of 5, Gaussian window of sigma 1.5, mean over images"


def scales_for(picture: UInt8[np.ndarray, "_ _ 3"]) -> int:
    """How many of the five scales there is room for."""
    room = [2**scale * WINDOW <= min(picture.shape[:2]) for scale in range(len(SCALES))]
    return max(1, sum(room))


def edge_f1(picture: Picture, source: Picture) -> float:
    """0…1; 1 also where neither has edges."""
    edges, others = (canny(to_luma(each), sigma=EDGE_SIGMA) for each in (picture, source))
    if not edges.any() and not others.any():
        return 1.0
    hits = (edges & _widened(others)).sum(), (others & _widened(edges)).sum()
    precision, recall = hits[0] / max(edges.sum(), 1), hits[1] / max(others.sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-12))


def ms_ssim(picture: Picture, source: Picture, scales: int | None = None) -> float:
    """At most 1; negative structure at a scale counts as none, as fractional powers of it have no meaning."""
    x, y = to_luma(picture), to_luma(source)
    count = scales_for(picture) if scales is None else scales
    weights = np.array(SCALES[:count]) / (1 if count == len(SCALES) else sum(SCALES[:count]))
    result = 1.0
    for scale, weight in enumerate(weights):
        brightness, structure = _similarities(x, y)
        last = scale == count - 1
        result *= max((brightness * structure).mean() if last else structure.mean(), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return float(result)


def luma_correlation(picture: Picture, source: Picture) -> float:
    """-1…1; 0 where either does not vary."""
    x, y = (rankdata(to_luma(each).ravel()) for each in (picture, source))
    x, y = x - x.mean(), y - y.mean()
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length else 0.0


@torch.no_grad()
def structure_distance(network: VGGFeatures, picture: Picture, source: Picture, device: torch.device) -> float:
    """The network must have the tap relu4_1."""
    one, other = (_self_similarity(network, from_bytes(each).to(device)) for each in (picture, source))
    return float((one - other).square().mean())


def to_luma(picture: Picture) -> Float[np.ndarray, "h w"]:
    """0…255."""
    luma: np.ndarray = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return luma


def _self_similarity(network: VGGFeatures, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "positions positions"]:
    features = network(interpolate(image, (SIDE, SIDE), mode="bicubic", antialias=True))[LAYER]
    columns = normalize(features[0].flatten(1), dim=0)
    return columns.mT @ columns


def _widened(edges: np.ndarray) -> np.ndarray:
    """By one pixel in all eight directions."""
    widened: np.ndarray = binary_dilation(edges, np.ones((3, 3), bool))
    return widened


def _similarities(x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    """(brightness, contrast and structure) of every window that lies inside."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return brightness, (2 * covariance + C2) / (variance + C2)


def _windowed(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "_ _"]:
    margin = WINDOW // 2
    blurred: np.ndarray = gaussian_filter(values, sigma=1.5, radius=margin)
    return blurred[margin:-margin, margin:-margin]


def _halved(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "_ _"]:
    """The mean of 2×2 pixels; an odd last row or column is left out."""
    h, w = (size - size % 2 for size in values.shape)
    halved: np.ndarray = values[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
    return halved
