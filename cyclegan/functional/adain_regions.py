"""AdaIN with several styles: statistics mixed by weight (Eq. 15), or applied to regions of the content."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from cyclegan.functional.statistics import FLAT

Features: TypeAlias = Float[Tensor, "n _ h w"]


class Statistics(NamedTuple):
    """Mean and deviation of a style's features."""

    mean: Float[Tensor, "_ 512 1 1"]
    std: Float[Tensor, "_ 512 1 1"]


def mix_statistics(styles: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Mix the statistics by weight: Σ w_k AdaIN(f(c), f(s_k)) is linear in them."""
    parts = zip(*styles, strict=True)
    return Statistics(*(sum(w * p for w, p in zip(weights, part, strict=True)) for part in parts))  # type: ignore[arg-type]


def shares_of_styles(masks: Float[Tensor, "k _ _"], features: Features) -> Float[Tensor, "k h w"]:
    """Compute the share of each style at each position; the shares of a position sum to at most 1."""
    at_features = interpolate(masks[None], features.shape[-2:], mode="area")[0]
    return at_features / at_features.sum(dim=0).clamp(min=1)


def adain_in_regions(features: Features, styles: Sequence[Statistics], shares: Float[Tensor, "k h w"]) -> Features:
    """Apply AdaIN to each region separately: the statistics of the content are those of the region, too."""
    t = features * (1 - shares.sum(dim=0))
    for share, (mean, std) in zip(shares, styles, strict=True):
        density = share / share.sum().clamp(min=torch.finfo(share.dtype).tiny)
        region_mean = (features * density).sum(dim=(2, 3), keepdim=True)
        variance = ((features - region_mean).square() * density).sum(dim=(2, 3), keepdim=True)
        t = t + share * ((features - region_mean) / variance.clamp(min=FLAT).sqrt() * std + mean)
    return t.to(features.dtype)
