"""Penalties that keep a discriminator smooth, and an image."""

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.protocols import Images


def r1_penalty(scores: Float[Tensor, "n scales grid_h grid_w"], images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, ""]:
    """½ E‖∇D(y)‖² on real images, D the mean score (Mescheder et al. 2018, Eq. 9); `images` must require gradients."""
    (slope,) = torch.autograd.grad(scores.mean(dim=(1, 2, 3)).sum(), images, create_graph=True)
    return 0.5 * slope.square().sum(dim=(1, 2, 3)).mean()


def total_variation(images: Images) -> Float[Tensor, ""]:
    """Squared differences of neighbors, across and down, per element: the prior that images are smooth."""
    across, down = images.diff(dim=3), images.diff(dim=2)
    return (across.square().sum() + down.square().sum()) / images.numel()
