"""Color mathematics: luma, and linear maps that match the mean and the covariance of two sets of colors.

Papers     Pitié, Kokaram, The linear Monge-Kantorovitch linear colour mapping for example-based colour
           transfer, 2007; Gatys, Bethge, Hertzmann, Shechtman, Preserving color in neural artistic style
           transfer, 2016.
Computes   t(x) = T (x − μ_s) + μ_t with T Σ_s Tᵀ = Σ_t. T is determined up to a rotation; three solutions are
           used:
           cholesky   T = L_t L_s⁻¹,  Σ = L Lᵀ, L lower triangular
           pca        T = Σ_t^½ Σ_s^(−½)
           sym        T = Σ_s^(−½) (Σ_s^½ Σ_t Σ_s^½)^½ Σ_s^(−½): the symmetric one, with the smallest color
                      change (Pitié)
Differs    where the source has no variance, as grey images have in their chroma, T is 0 (for cholesky,
           nearly), and a flat color, whose covariance has no Cholesky factor except by rounding, is mapped by
           pca.
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
    """Map x → matrix · x + offset, float64."""

    matrix: Float[Tensor, "3 3"]
    offset: Float[Tensor, "3"]


def luma(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
    """Compute Y' of BT.601: .299 R + .587 G + .114 B, in the range of the input."""
    return images[:, 0] * 0.299 + images[:, 1] * 0.587 + images[:, 2] * 0.114


def color_moments(batches: Iterable[Float[Tensor, "_ 3 _ _"]]) -> Moments:
    """Compute the moments over every pixel of every batch; one batch at a time is held in memory."""
    count, total, products = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for images in batches:
        pixels = images.detach().to("cpu", torch.float64).movedim(1, -1).reshape(-1, 3)
        count, total, products = count + len(pixels), total + pixels.sum(dim=0), products + pixels.mT @ pixels
    mean = total / count
    return Moments(mean, products / count - mean.outer(mean))


def monge_kantorovich(source: Moments, target: Moments) -> LinearMap:
    """Return the map with the smallest change that gives the source the target's mean and covariance."""
    root, inverse_root = _power(source.covariance, 0.5), _power(source.covariance, -0.5)
    matrix = inverse_root @ _power(root @ target.covariance @ root, 0.5) @ inverse_root
    return LinearMap(matrix, target.mean - matrix @ source.mean)


def match_colors(images: Images, target: Float[Tensor, "_ 3 _ _"], mode: str) -> Images:
    """Map the images linearly to the mean and the covariance of the target's colors, by one of `MODES`."""
    source, wanted = color_moments([images]), color_moments([target])
    return map_colors(images, MODES[mode](source, wanted)).clamp(-1, 1).to(images)


def with_luma(images: Images, wanted: Float[Tensor, "n h w"]) -> Images:
    """Replace the luma of the images and keep their chroma: R, G and B all change by the difference."""
    return images + (wanted - luma(images)).unsqueeze(1)


def match_luma(images: Images, target: Float[Tensor, "_ 3 _ _"]) -> Images:
    """Return the images without color, with the target's mean and deviation of luma."""
    source, wanted = luma(images), luma(target)
    scale = wanted.std(correction=0) / source.std(correction=0).clamp(min=1e-3)  # an eighth of an 8-bit level
    matched = (source - source.mean()) * scale + wanted.mean()
    return matched.unsqueeze(1).expand_as(images)


def map_colors(images: Images, linear_map: LinearMap) -> Images:
    """Apply the linear map to every pixel, in float64."""
    matrix, offset = (part.to(images.device) for part in linear_map)
    return torch.einsum("dc,nchw->ndhw", matrix, images.double()) + offset[:, None, None]


def _cholesky(source: Moments, target: Moments) -> LinearMap:
    """Compute T = L_t L_s⁻¹, or that of pca where rounding leaves a covariance without a Cholesky factor.

    This happens for images of one color.
    """
    factors = (torch.linalg.cholesky_ex(_regular(moments.covariance)) for moments in (source, target))
    (of_source, source_fails), (of_target, target_fails) = factors
    if source_fails or target_fails:
        return _pca(source, target)
    matrix = torch.linalg.solve_triangular(of_source, of_target, upper=False, left=False)
    return LinearMap(matrix, target.mean - matrix @ source.mean)


def _pca(source: Moments, target: Moments) -> LinearMap:
    """Compute T = Σ_t^½ Σ_s^(−½)."""
    matrix = _power(target.covariance, 0.5) @ _power(source.covariance, -0.5)
    return LinearMap(matrix, target.mean - matrix @ source.mean)


MODES = {"cholesky": _cholesky, "pca": _pca, "sym": monge_kantorovich}


def _regular(covariance: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """Add a trace of variance in every direction, so that the Cholesky factor has an inverse."""
    least = 1e-10 * covariance.trace().clamp(min=1e-10)
    return covariance + least * torch.eye(3, dtype=covariance.dtype)


def _power(covariance: Float[Tensor, "3 3"], exponent: float) -> Float[Tensor, "3 3"]:
    """Power of a symmetric positive semidefinite matrix; eigenvalues that are 0 but for rounding stay 0."""
    values, vectors = torch.linalg.eigh(covariance)
    alive = values > 1e-10 * values.max().clamp(min=1e-10)
    return (vectors * torch.where(alive, values, 1.0).pow(exponent) * alive) @ vectors.mT
