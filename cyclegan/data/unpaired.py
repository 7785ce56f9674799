"""Unpaired samples: X and Y are drawn independently, each in shuffled passes of its own.

Sample k is a function of (seed, k) alone (cyclegan.data.counter_rng), whatever was read before and however
many threads read ahead.

Differs    from the authors' code: there, an epoch is one shuffled pass over X, and Y is drawn with
           replacement; here, both sides are drawn in shuffled passes, so that for sides of unequal size no
           image is seen much more often than another of its side.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.cached_images import CachedImages
from cyclegan.data.counter_rng import rng, shuffled_pass
from cyclegan.data.crops import center_crop, random_crop
from cyclegan.data.data_config import CropConfig


class Unpaired:
    """Random crops of X and of Y."""

    Batch: type[NamedTuple] = UnpairedBatch

    def __init__(self, sides: Sequence[CachedImages], config: CropConfig, seed: int) -> None:
        self.sides = sides
        self.config = config
        self.seed = seed

    def sample(self, k: int) -> Sequence[Tensor]:
        """Return x and y, (c, size, size) each."""
        return [
            random_crop(images[self._index(side, k)], self.config, rng(self.seed, side, k))
            for side, images in enumerate(self.sides)
        ]

    def names(self, k: int) -> Sequence[str]:
        """Return the files of x and y."""
        return [str(images.paths[self._index(side, k)]) for side, images in enumerate(self.sides)]

    def center(self, indices: Sequence[int]) -> Sequence[Tensor]:
        """Return the central crop of one image of each side, given their indices."""
        return [center_crop(images[i], self.config) for images, i in zip(self.sides, indices, strict=True)]

    def _index(self, side: int, k: int) -> int:
        return shuffled_pass(k, len(self.sides[side]), self.seed, side)
