"""Color mathematics: luma, and the linear map that gives one set of colors the mean and the covariance of another.

Paper      Pitié, Kokaram, The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer, 2007.
Idea       Of all linear maps that take N(μ_s, Σ_s) to N(μ_t, Σ_t), the one that moves colors least.
Computes   t(x) = T (x − μ_s) + μ_t,   T = Σ_s^(−½) (Σ_s^½ Σ_t Σ_s^½)^½ Σ_s^(−½), which is symmetric.
Differs    from the paper: where the source has no variance, as grey pictures have in their chroma, T is 0.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.protocols import Images


class Moments(NamedTuple):
    """Mean and covariance of the colors of many pixels, float64."""

    mean: Float[Tensor, "3"]
    covariance: Float[Tensor, "3 3"]


class LinearMap(NamedTuple):
    """x → matrix · x + offset, float64."""

    matrix: Float[Tensor, "3 3"]
    offset: Float[Tensor, "3"]


def luma(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
    """Y' of BT.601: .299 R + .587 G + .114 B, in the range of the input."""
    return images[:, 0] * 0.299 + images[:, 1] * 0.587 + images[:, 2] * 0.114


def color_moments(batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> Moments:
    """Over every pixel of every batch; one batch at a time is held in memory."""
    count, total, products = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for images in batches:
        pixels = images.detach().to("cpu", torch.float64).movedim(1, -1).reshape(-1, 3)
        count, total, products = count + len(pixels), total + pixels.sum(dim=0), products + pixels.mT @ pixels
    mean = total / count
    return Moments(mean, products / count - mean.outer(mean))


def monge_kantorovich(source: Moments, target: Moments) -> LinearMap:
    """The least linear map that gives the source the mean and the covariance of the target."""
    root, inverse_root = _power(source.covariance, 0.5), _power(source.covariance, -0.5)
    matrix = inverse_root @ _power(root @ target.covariance @ root, 0.5) @ inverse_root
    return LinearMap(matrix, target.mean - matrix @ source.mean)


def map_colors(images: Images, linear_map: LinearMap) -> Images:
    """Every pixel by the linear map, in float64."""
    matrix, offset = (part.to(images.device) for part in linear_map)
    return torch.einsum("dc,nchw->ndhw", matrix, images.double()) + offset[:, None, None]


def _power(covariance: Float[Tensor, "3 3"], exponent: float) -> Float[Tensor, "3 3"]:
    """Power of a symmetric positive semidefinite matrix; eigenvalues that are 0 but for rounding stay 0."""
    values, vectors = torch.linalg.eigh(covariance)
    alive = values > 1e-10 * values.max().clamp(min=1e-10)
    return (vectors * torch.where(alive, values, 1.0).pow(exponent) * alive) @ vectors.mT
