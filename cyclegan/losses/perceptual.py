"""Distances in the features of a network: content (features by position) and style (their joint statistics).

Papers     Gatys, Ecker, Bethge, Image style transfer using convolutional neural networks, CVPR 2016;
           Gatys et al., Controlling perceptual factors in neural style transfer, CVPR 2017 (guidance).
Features   F, P: (1, c, h, w) of the image and of its target; N = c channels, M = h · w positions.
Sum form   L_content = ½ Σ (F − P)²                     (Eq. 1)     content_loss
           E = 1/(4 N² M²) Σ (G − A)²,  G = F Fᵀ        (Eqs. 3–4)  gram_style_loss
Mean form  L_content = mean (F − P)²                                content_loss_mean
           E = mean (g − a)²,  g = G / M                            gram_style_loss_mean
Conversion Σ (F − P)² has N M terms and Σ (G − A)² = M² Σ (g − a)² has N², so that with the same gradients
               α ½ Σ (F − P)² = α' mean (F − P)²,   α' = α N M / 2
               β E_sum        = β' E_mean,          β' = β / 4
           which `mean_form` computes. α' / β' holds at every size; α / β belongs to one N M, hence to one
           size.
Differs    Eq. 4 is computed from g. The value is the same where image and style have M positions each, as in
           the paper, and it stays meaningful where they do not. The distance of Gaussians is not from these
           papers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.functional.statistics import gram_matrix, sqrtm_psd

Features = Float[Tensor, "1 c h w"]
Scalar = Float[Tensor, ""]
JITTER = 1e-4  # variance added in every direction, in units of the target's: bounds the slope of the root
ROUNDING = 1e-6  # eigenvalues that are smaller, the largest being 1, are noise


class FeatureStatistics(NamedTuple):
    """Statistics of features without their positions; textures of several images may be averaged."""

    mean: Float[Tensor, "1 c"]
    gram: Float[Tensor, "1 c c"]  # g = F Fᵀ / M, the second moments


class Gaussian(NamedTuple):
    """A texture as the parameters of a Gaussian."""

    mean: Float[Tensor, "1 c"]
    covariance: Float[Tensor, "1 c c"]
    root: Float[Tensor, "1 c c"]  # Σ*^½
    jitter: Scalar  # the variance added in every direction, to be added to what is compared, too


def feature_statistics(features: Features, guidance: Float[Tensor, "1 1 h w"] | None = None) -> FeatureStatistics:
    """Compute the texture of a region: position k counts guidance[k] ≥ 0 times; guidance has mean 1."""
    if guidance is None:
        return FeatureStatistics(features.mean(dim=(2, 3)), gram_matrix(features))
    return FeatureStatistics((features * guidance).mean(dim=(2, 3)), gram_matrix(features * guidance.sqrt()))


def average(textures: Sequence[FeatureStatistics], shares: Sequence[float]) -> FeatureStatistics:
    """Compute the texture of several images put together, each with its share of the whole."""
    weights = torch.tensor(shares).to(textures[0].mean)
    mean = torch.einsum("k,k...->...", weights, torch.stack([style.mean for style in textures]))
    gram = torch.einsum("k,k...->...", weights, torch.stack([style.gram for style in textures]))
    return FeatureStatistics(mean, gram)


def content_loss(features: Features, target: Features) -> Scalar:
    """Compute ½ Σ (F − P)² (Eq. 1)."""
    return 0.5 * (features - target).square().sum()


def content_loss_mean(features: Features, target: Features) -> Scalar:
    """Mean of (F − P)²."""
    return (features - target).square().mean()


def gram_style_loss(style: FeatureStatistics, target: FeatureStatistics) -> Scalar:
    """Compute 1/(4 N²) Σ (g − a)² (Eq. 4)."""
    channels = style.gram.shape[-1]
    return (style.gram - target.gram).square().sum() / (4 * channels**2)


def gram_style_loss_mean(style: FeatureStatistics, target: FeatureStatistics) -> Scalar:
    """Mean of (g − a)²."""
    return (style.gram - target.gram).square().mean()


def mean_form(alpha: float, beta: float, channels: int, positions: int) -> tuple[float, float]:
    """Convert α, β of the sum form to α', β' of the mean form with the same loss: α N M / 2 and β / 4."""
    return alpha * channels * positions / 2, beta / 4


def gaussian(style: FeatureStatistics) -> Gaussian:
    """Compute the target of `wasserstein_style_loss` once, as it does not depend on the image."""
    covariance = covariance_of(style)
    jitter = JITTER * covariance.diagonal(dim1=1, dim2=2).mean().clamp(min=1e-12)
    covariance = covariance + jitter * torch.eye(covariance.shape[-1]).to(covariance)
    return Gaussian(style.mean, covariance, sqrtm_psd(covariance), jitter)


def wasserstein_style_loss(style: FeatureStatistics, target: Gaussian) -> Scalar:
    """Compute W₂² of the features as Gaussians, per channel.

    (‖μ − μ*‖² + tr(Σ + Σ* − 2 (Σ*^½ Σ Σ*^½)^½)) / N

    The result is clamped to at least 0, the lower bound of W₂²: rounding, and eigenvalues raised to
    `ROUNDING`, would make that of equal textures negative.
    """
    covariance = covariance_of(style)
    covariance = covariance + target.jitter * torch.eye(covariance.shape[-1]).to(covariance)
    values = torch.linalg.eigvalsh(target.root @ covariance @ target.root)  # the trace of the root is all we need
    least = (ROUNDING * values[:, -1:].detach()).clamp(min=torch.finfo(values.dtype).tiny)
    overlap = values.maximum(least).sqrt().mean()
    spread = (covariance + target.covariance).diagonal(dim1=1, dim2=2).mean() - 2 * overlap
    return ((style.mean - target.mean).square().mean() + spread).clamp(min=0)


def covariance_of(style: FeatureStatistics) -> Float[Tensor, "1 c c"]:
    """Compute Σ = g − μ μᵀ."""
    return style.gram - style.mean.unsqueeze(2) * style.mean.unsqueeze(1)
