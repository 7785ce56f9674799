"""Paired samples: X and Y have the same crop and the same flip (Isola et al. 2017, Sec. 3.3)."""

from collections.abc import Sequence

from torch import Tensor

from cyclegan.data.batches import PairedBatch
from cyclegan.data.counter_rng import rng
from cyclegan.data.crops import random_crop
from cyclegan.data.unpaired import Unpaired
from cyclegan.errors import UserError


class Paired(Unpaired):
    """Random crops of pairs, in shuffled passes."""

    Batch = PairedBatch

    def sample(self, k: int) -> Sequence[Tensor]:
        """Return x and y, (c, size, size) each, cropped at the same place.

        Raises UserError for a pair whose images differ in size.
        """
        i = self._index(0, k)
        pair = [images[i] for images in self.sides]
        if pair[0].shape[1:] != pair[1].shape[1:]:
            names = " and ".join(str(images.paths[i]) for images in self.sides)
            raise UserError(f"{names}: differ in shape, so that crops do not correspond; set data.resize to square")
        return [random_crop(image, self.config, rng(self.seed, 0, k)) for image in pair]

    def _index(self, side: int, k: int) -> int:
        return super()._index(0, k)
