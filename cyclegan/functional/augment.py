"""DiffAugment: random changes to the images that discriminators receive, against overfitting on few images.

Paper      Zhao, Liu, Lin, Zhu, Han, Differentiable augmentation for data-efficient GAN training, NeurIPS
           2020.
Idea       D scores T(x) and T(G(z)) in both losses; as T is differentiable, gradients of D reach G through
           it.
color        brightness + U[−½, ½], saturation × U[0, 2], contrast × U[½, 3/2], in this order; not clamped.
translation  by up to 1/8 of each side in either direction; new pixels are zero.
cutout       a square of half of each side is zero, anywhere, also partly outside.
Draws      (n, 3) numbers in [0, 1), three for each image; the result depends on them alone.
Differs    from the paper: nothing known. Zero is grey, as images lie in [−1, 1].
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from cyclegan import distributed
from cyclegan.protocols import AnyImages, Images

Draws: TypeAlias = Float[Tensor, "n 3"]

REACH = 1 / 8  # largest shift of a translation, as a share of a side
HOLE = 1 / 2  # side of the hole, as a share of the image's side


def augment(images: AnyImages, kinds: Sequence[str]) -> AnyImages:
    """Apply the named augmentations one after the other, with separate draws for each image."""
    for kind in kinds:
        images = AUGMENTATIONS[kind](images, distributed.rand(len(images), 3))
    return images


def color(images: Images, draws: Draws) -> Images:
    """Change brightness, saturation and contrast."""
    brightness, saturation, contrast = draws.to(images).T[:, :, None, None, None]
    images = images + brightness - 0.5
    grey = images.mean(dim=1, keepdim=True)
    images = grey + 2 * saturation * (images - grey)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    return level + (contrast + 0.5) * (images - level)


def translation(images: AnyImages, draws: Draws) -> AnyImages:
    """Shift images vertically and horizontally."""
    height, width = images.shape[2:]
    down, right = (int(side * REACH + 0.5) for side in (height, width))
    padded = pad(images, (right, right, down, down))
    moved = []
    for image, (y, x, _) in zip(padded, draws.tolist(), strict=True):
        top, left = int(y * (2 * down + 1)), int(x * (2 * right + 1))
        moved.append(image[:, top : top + height, left : left + width])
    return torch.stack(moved)


def cutout(images: AnyImages, draws: Draws) -> AnyImages:
    """Set a square hole to zero, whose center lies anywhere in the image."""
    rows, columns = (_cut_out(side, draw) for side, draw in zip(images.shape[2:], draws.T, strict=False))
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)


def _cut_out(side: int, draw: Float[Tensor, " n"]) -> Bool[Tensor, "n side"]:
    """Mark the rows, or columns, that lie in the hole."""
    size = int(side * HOLE + 0.5)
    first = (draw * (side + 1 - size % 2)).floor() - size // 2
    beyond = torch.arange(side) - first[:, None]
    return (beyond >= 0) & (beyond < size)


AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
