"""Penalties that keep a discriminator smooth."""

import torch
from jaxtyping import Float
from torch import Tensor


def r1_penalty(scores: Float[Tensor, "n 1 grid_h grid_w"], images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
    """½ E‖∇D(y)‖² on real images, D the mean score (Mescheder et al. 2018, Eq. 9); `images` must require gradients."""
    (slope,) = torch.autograd.grad(scores.mean(dim=(1, 2, 3)).sum(), images, create_graph=True)
    return 0.5 * slope.square().sum(dim=(1, 2, 3)).mean()
