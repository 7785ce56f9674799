"""Penalties for the smoothness of discriminators (in float32 also under autocast) and of images."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan import distributed
from cyclegan.protocols import AnyImages, Images

Critic: TypeAlias = Callable[[AnyImages], Float[Tensor, "n _ grid_h grid_w"]]  # images → scores
TINY = 1e-16


def r1_penalty(D: Critic, y: AnyImages) -> Float[Tensor, ""]:
    """Compute ½ E‖∇D(y)‖² on real images, where D is the mean score (Mescheder et al. 2018, Eq. 9)."""
    return 0.5 * _squared_gradient_norm(D, y).mean()


def gradient_penalty(D: Critic, x: AnyImages) -> Float[Tensor, ""]:
    """Compute E[(‖∇D(x̂)‖₂ − 1)²] at x̂ between real and fake, where D is the mean score.

    Gulrajani et al. 2017, Eq. 3.
    """
    lengths = (_squared_gradient_norm(D, x) + TINY).sqrt()  # the root of 0 has no gradient
    return (lengths - 1).square().mean()


def interpolate(real: Float[Tensor, "n c h w"], fake: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Compute x̂ = ε real + (1 − ε) fake, an ε ~ U[0, 1] for each pair (Gulrajani et al. 2017, Alg. 1)."""
    share = distributed.rand(len(real), 1).to(real)[:, :, None, None]
    return torch.lerp(fake, real, share)


def _squared_gradient_norm(D: Critic, images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    images = images.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):  # a gradient of a gradient needs full precision
        (slopes,) = torch.autograd.grad(D(images).mean(dim=(1, 2, 3)).sum(), images, create_graph=True)
    return slopes.square().sum(dim=(1, 2, 3))


def total_variation(images: Images) -> Float[Tensor, ""]:
    """Compute the squared differences of neighbors, across and down, per element: a smoothness prior."""
    across, down = images.diff(dim=3), images.diff(dim=2)
    return (across.square().sum() + down.square().sum()) / images.numel()


def total_variation_sum(images: Images) -> Float[Tensor, " n"]:
    """Compute ½ Σ (dx² + dy²) of each image, over all pixels that have both neighbors, right and below.

    Its gradient is that of the layer TotalVariation of fast-neural-style (Johnson et al. 2016).
    """
    across, down = images.diff(dim=3)[:, :, :-1], images.diff(dim=2)[..., :-1]
    return 0.5 * (across.square() + down.square()).sum(dim=(1, 2, 3))


def julesz_entropy(images: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Compute (D / n) Σ_i log(min_{j≠i} ‖x_i − x_j‖² + 0.1) of n ≥ 2 images of D numbers, to be maximized.

    It estimates the entropy of what a generator makes from noise by nearest neighbors (Ulyanov et al. 2017);
    0.1 keeps the gradient finite where two images are equal. The images are levels, 0…255.
    """
    flat = images.flatten(1)
    count, numbers = flat.shape
    distances = torch.stack([(flat - one).square().sum(dim=1) for one in flat])
    itself = torch.eye(count, dtype=torch.bool, device=images.device)
    nearest = distances.masked_fill(itself, torch.inf).amin(dim=1)
    return numbers / count * (nearest + 0.1).log().sum()
