"""Batches of the four kinds of data, as named tuples of tensors."""

from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor

from cyclegan.protocols import AnyImages, Images


class UnpairedBatch(NamedTuple):
    """Images of X and Y, drawn independently of each other."""

    x: AnyImages
    y: AnyImages


class PairedBatch(NamedTuple):
    """Batch of pairs; both images of a pair have the same crop."""

    x: AnyImages
    y: AnyImages


class IndexedBatch(NamedTuple):
    """Content images, each with the index of a style."""

    content: Images
    style: Int64[Tensor, " n"]


class ReferenceBatch(NamedTuple):
    """Glyphs: r reference glyphs of the target's font, r of the target's character, and the target.

    The r reference glyphs are channels.
    """

    style: Float[Tensor, "n r h w"]
    content: Float[Tensor, "n r h w"]
    target: Float[Tensor, "n 1 h w"]
