"""Distances between an image and its reconstruction (Zhu et al. 2017, Eq. 2 and Sec. 5.2).

The norm is averaged over all elements, as in the authors' code: with a sum the weights λ would be wrong by the
size of the image.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import l1_loss

from cyclegan.protocols import Images


def reconstruction(image: Images, target: Images) -> Float[Tensor, ""]:
    """E‖F(G(x)) − x‖₁ for the cycle, E‖G(y) − y‖₁ for the identity."""
    return l1_loss(image, target)
