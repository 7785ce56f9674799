"""Distances between an image and its reconstruction (Zhu et al. 2017, Eq. 2 and Sec. 5.2).

Norms are averaged over all elements, as in the authors' code: a sum would multiply the weights λ by the size
of the image. The mix of MS-SSIM and L1 is that of Zhao, Gallo, Frosio, Kautz, Loss functions for image
restoration with neural networks, 2016, Eq. 14, with its α; there L1 is weighted by a Gaussian around each
pixel, here it is unweighted.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss

from cyclegan.functional.precision import at_least_float32
from cyclegan.functional.similarity import ms_ssim, scales_for
from cyclegan.protocols import AnyImages

ALPHA = 0.84  # the share of MS-SSIM


def reconstruction(image: AnyImages, target: AnyImages) -> Float[Tensor, ""]:
    """Compute E‖F(G(x)) − x‖₁ for the cycle, or E‖G(y) − y‖₁ for the identity."""
    return l1_loss(image, target)


def structural_reconstruction(image: AnyImages, target: AnyImages) -> Float[Tensor, ""]:
    """Compute α (1 − MS-SSIM) + (1 − α) ‖F(G(x)) − x‖₁ of images scaled to [0, 1].

    Each color channel is compared separately; images must have at least 11 pixels a side.
    """
    with torch.autocast(image.device.type, enabled=False):  # a variance is a small difference of large numbers
        x, y = (at_least_float32(each).add(1).div(2) for each in (image, target))
        structure = ms_ssim(x, y, 1.0, scales_for(*x.shape[2:])).mean()
        return ALPHA * (1 - structure) + (1 - ALPHA) * l1_loss(x, y)
