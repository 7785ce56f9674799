"""Statistics of features that represent style: mean and deviation, Gram matrix, covariance and its root.

Papers     Huang, Belongie, Arbitrary style transfer in real-time with adaptive instance normalization, 2017;
           Gatys, Ecker, Bethge, Image style transfer using convolutional neural networks, 2016.
Shapes     features (n, c, h, w); M = h · w positions. All variances are biased: divided by M, not by M − 1.
Precision  at least float32, whatever the dtype of the features and also under autocast: losses are
           differences of two statistics, and bfloat16 has three digits. float64 stays.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.functional.precision import at_least_float32

FLAT = 1e-5  # the variance below which a channel counts as constant
TINY = 1e-10  # keeps the derivative of a root finite, and is too small to be seen in its value


def mean_std(
    features: Float[Tensor, "n c h w"], eps: float = 1e-5
) -> tuple[Float[Tensor, "n c 1 1"], Float[Tensor, "n c 1 1"]]:
    """Compute μ and σ = √(variance + ε) of each channel over its positions."""
    variance, mean = torch.var_mean(at_least_float32(features), dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + eps).sqrt()


def match_mean_std(
    content: Float[Tensor, "n c h w"], mean: Float[Tensor, "#n c 1 1"], std: Float[Tensor, "#n c 1 1"]
) -> Float[Tensor, "n c h w"]:
    """Shift and scale the content to this mean and deviation: `adain` with given statistics of the style.

    Nothing is added to the content's variance, so the result has exactly these statistics; only a channel
    whose variance is below FLAT stays flat.
    """
    variance, content_mean = torch.var_mean(at_least_float32(content), dim=(2, 3), correction=0, keepdim=True)
    scale = std / variance.clamp(min=FLAT).sqrt()
    return torch.addcmul(mean, content - content_mean, scale).to(content.dtype)


def adain(content: Float[Tensor, "n c h w"], style: Float[Tensor, "#n c hs ws"]) -> Float[Tensor, "n c h w"]:
    """Compute AdaIN(x, y) = σ(y) (x − μ(x)) / σ(x) + μ(y) (Eq. 8 of Huang & Belongie)."""
    return match_mean_std(content, *mean_std(style, eps=TINY))


def gram_matrix(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c c"]:
    """Compute F Fᵀ / M, the mean product of every two channels; G of Gatys et al. (Eq. 3) is M times this."""
    gram: Tensor = _Gram.apply(at_least_float32(features).permute(0, 2, 3, 1).flatten(1, 2))
    return gram


def covariance(features: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c c"]]:
    """Compute mean and covariance of the channels: the Gaussian that Wasserstein style losses compare."""
    mean = at_least_float32(features).mean(dim=(2, 3), keepdim=True)
    return mean.flatten(1), gram_matrix(features - mean)


def sqrtm_psd(matrix: Float[Tensor, "*n c c"]) -> Float[Tensor, "*n c c"]:
    """Compute the symmetric positive semidefinite root S of a symmetric positive semidefinite A: S S = A.

    Computed by eigenvalues: the forward pass is then exact even where A is rank deficient, as for features
    with more channels than positions, where the Newton–Schulz iteration does not converge. The backward pass
    does not differentiate the eigenvectors, whose derivative is undefined where two eigenvalues are equal. It
    solves S dS + dS S = dA in their basis, where the only divisors are sums of roots; these are kept above
    rounding.
    """
    root: Tensor = _Root.apply(at_least_float32(matrix))
    return root


class _Gram(torch.autograd.Function):
    """Xᵀ X / M of X (n, M, c), with one product in the backward pass; plain autograd takes two and a sum.

    The positions come first, as in the memory of channels-last features, so the gradient has that layout,
    too.
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
    """Differentiable root of a symmetric matrix; negative eigenvalues, due only to rounding, count as 0."""

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


def _no_autocast(tensor: Tensor) -> torch.autocast:
    return torch.autocast(tensor.device.type, enabled=False)
