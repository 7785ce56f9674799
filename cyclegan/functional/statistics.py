"""Statistics of features, in which style is measured: mean and deviation, Gram matrix, covariance and its root.

Papers     Huang, Belongie, Arbitrary style transfer in real-time with adaptive instance normalization, 2017;
           Gatys, Ecker, Bethge, Image style transfer using convolutional neural networks, 2016.
Shapes     features (n, c, h, w); M = h · w positions. All variances are the biased ones: over M, not over M − 1.
Precision  float32 at least, whatever the features have and whether or not autocast is on: the difference of two
           statistics is what losses are made of, and bfloat16 has three digits. float64 stays.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

FLAT = 1e-5  # the variance below which a channel counts as constant
TINY = 1e-10  # keeps the derivative of a root finite, and is too small to be seen in its value


def mean_std(
    features: Float[Tensor, "n c h w"], eps: float = 1e-5
) -> tuple[Float[Tensor, "n c 1 1"], Float[Tensor, "n c 1 1"]]:
    """μ and σ = √(variance + ε) of each channel over its positions."""
    variance, mean = torch.var_mean(_precise(features), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + eps).sqrt()


def match_mean_std(
    content: Float[Tensor, "n c h w"], mean: Float[Tensor, "#n c 1 1"], std: Float[Tensor, "#n c 1 1"]
) -> Float[Tensor, "n c h w"]:
    """The content moved and scaled to this mean and deviation: `adain` with a style whose statistics are at hand.

    Nothing is added to the content's variance, so the result has these statistics exactly; only a channel that does
    not vary, by less than FLAT, stays flat.
    """
    variance, content_mean = torch.var_mean(_precise(content), dim=(2, 3), correction=0, keepdim=True)
    scale = std / variance.clamp(min=FLAT).sqrt()
    return torch.addcmul(mean, content - content_mean, scale).to(content.dtype)


def adain(content: Float[Tensor, "n c h w"], style: Float[Tensor, "#n c hs ws"]) -> Float[Tensor, "n c h w"]:
    """AdaIN(x, y) = σ(y) (x − μ(x)) / σ(x) + μ(y)   (Eq. 8 of Huang & Belongie)."""
    return match_mean_std(content, *mean_std(style, eps=TINY))


def gram_matrix(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c c"]:
    """F Fᵀ / M, the mean product of every two channels; G of Gatys et al. (Eq. 3) is M times this."""
    gram: Tensor = _Gram.apply(_precise(features).permute(0, 2, 3, 1).flatten(1, 2))
    return gram


def covariance(features: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c c"]]:
    """Mean and covariance of the channels: the Gaussian that Wasserstein style losses compare."""
    mean = _precise(features).mean(dim=(2, 3), keepdim=True)
    return mean.flatten(1), gram_matrix(features - mean)


def sqrtm_psd(matrix: Float[Tensor, "*n c c"]) -> Float[Tensor, "*n c c"]:
    """The symmetric positive semidefinite root S of a symmetric positive semidefinite A: S S = A.

    By eigenvalues, for the forward pass is then exact also where A has lost rank, which is what features with more
    channels than positions have, and where the iteration of Newton and Schulz does not converge. The backward pass
    does not differentiate the eigenvectors, which is undefined where two eigenvalues meet. It solves
    S dS + dS S = dA in their basis, where only sums of roots are divided by; these are kept above rounding.
    """
    root: Tensor = _Root.apply(_precise(matrix))
    return root


class _Gram(torch.autograd.Function):
    """Xᵀ X / M of X (n, M, c): one product in the backward pass, which plain autograd takes two for, and a sum.

    The positions come first, as they do in the memory of channels-last features: so does the gradient's.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        with _no_autocast(x):
            return x.mT @ x / x.shape[1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        with _no_autocast(x):
            return x @ ((gradient + gradient.mT) / x.shape[1])


class _Root(torch.autograd.Function):
    """Differentiable root of a symmetric matrix; negative eigenvalues, which only rounding makes, count as 0."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        with _no_autocast(matrix):
            values, vectors = torch.linalg.eigh(matrix)
            roots = values.clamp(min=0).sqrt()
            ctx.save_for_backward(roots, vectors)
            return (vectors * roots[..., None, :]) @ vectors.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        number = torch.finfo(roots.dtype)
        rounding = (10 * number.eps) ** 0.5 * roots[..., -1:] + number.tiny  # the last root is the largest
        roots = roots.maximum(rounding)
        with _no_autocast(gradient):
            rotated = vectors.mT @ gradient @ vectors
            solved = vectors @ (rotated / (roots[..., :, None] + roots[..., None, :])) @ vectors.mT
        return (solved + solved.mT) / 2


def _precise(features: Tensor) -> Tensor:
    return features.to(torch.promote_types(features.dtype, torch.float32))


def _no_autocast(tensor: Tensor) -> torch.autocast:
    return torch.autocast(tensor.device.type, enabled=False)
