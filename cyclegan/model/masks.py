"""Masks of styles, read from image files: white where a style applies, black or transparent elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from cyclegan.errors import UserError, expanded
from cyclegan.functional.color import luma
from cyclegan.images.files import read_raster
from cyclegan.images.pixel_format import RGB
from cyclegan.images.tensors import from_values, opacity


def read_masks(paths: Sequence[str | Path]) -> Float[Tensor, "_ _ _"]:
    """Read masks as (masks, h, w) in 0…1, resized to the size of the first.

    Raises UserError for an empty one.
    """
    masks = [read_mask(expanded(path)) for path in paths]
    size = masks[0].shape[2:]
    return torch.cat([interpolate(mask, size, mode="area")[0] for mask in masks])


def read_mask(path: Path) -> Float[Tensor, "1 1 h w"]:
    """Return the luma of an image file in 0…1, times its alpha; raises UserError if it is 0 everywhere."""
    raster = read_raster(path, RGB)
    mask = luma(from_values(raster.values, RGB)).add(1).div(2)[None]
    if raster.alpha is not None:
        mask = mask * opacity(raster.alpha)
    if not mask.any():
        raise UserError(f"{path}: this mask is empty; make it white where its style goes, and not transparent there")
    return mask
