"""Unpaired batches addressed by step: X and Y are drawn independently, each in shuffled passes of its own.

`batch_at(step)` is a function of (seed, step) alone (cyclegan.data.counters), whatever was asked before and however
many threads read ahead.

Differs    from the authors' code: there an epoch walks once through X, shuffled, and draws Y with replacement; here
           both sides are walked through, so that of two unequal sides no picture is seen much more often than
           another of its side.
"""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from cyclegan import distributed
from cyclegan.data.batches import Batch, UnpairedBatch
from cyclegan.data.cache import PictureCache
from cyclegan.data.copies import Copies, Copy
from cyclegan.data.counters import draws, shuffled_pass
from cyclegan.data.folder import Pictures, Room
from cyclegan.data.readers import Readers
from cyclegan.data.settings import UnpairedConfig
from cyclegan.errors import NoAnswerError
from cyclegan.pixels.kind import RGB, Kind

AHEAD = 4  # batches, at least, that are read before they are asked for; one is one reader's work
X, Y = 0, 1  # the side, as a counter
CPU = torch.device("cpu")


class Unpaired:
    """Endless random crops of both sides, as batches of a kind."""

    def __init__(
        self,
        x: Sequence[Path],
        y: Sequence[Path],
        config: UnpairedConfig,
        seed: int,
        kind: type[Batch] = UnpairedBatch,
        pixels: tuple[Kind, Kind] = (RGB, RGB),
        device: torch.device = CPU,
        parts: int = 1,
    ) -> None:
        """`parts`: in how many a batch will be trained on, one after the other."""
        self.config = config
        self.seed = seed
        self.kind = kind
        self.parts = parts
        room = Room(config.cache_mb * 2**20)
        self.sides = [_pictures(*side, config, room) for side in zip((x, y), pixels, strict=True)]
        self._readers = Readers(config.workers)
        self._copies = Copies(device)
        self._coming: dict[int, Future[Copy]] = {}
        self._at: dict[int, Path] = {}  # step of a batch that is being read -> the picture that the reader is at

    def batch_at(self, step: int) -> Batch:
        """The batch of this step, in [-1, 1], on the GPU, if it is for one; the next ones are read meanwhile.

        Raises NoAnswerError if it takes longer than data.timeout.
        """
        for later in range(step, step + max(AHEAD, self.config.workers)):
            if later not in self._coming:
                self._coming[later] = self._readers.submit(self._assemble, later)
        self._coming = {later: batch for later, batch in self._coming.items() if later >= step}
        awaited = self._coming.pop(step)
        if not wait([awaited], self.config.timeout).done:
            raise NoAnswerError(
                f"{self._at.get(step, 'a picture')}: not read after {self.config.timeout:g} s; "
                "when its drive answers again, the same command continues (or set data.timeout higher)"
            )
        return self._copies.end(awaited.result())

    def names_at(self, step: int) -> dict[str, list[str]]:
        """The files that the images of this step come from, those of all processes, by field of the batch."""
        samples = self._samples(step)
        return {field: [str(self._file(side, k)) for k in samples] for side, field in enumerate(self.kind._fields)}

    def _samples(self, step: int) -> range:
        return range(step * self.config.batch_size, (step + 1) * self.config.batch_size)

    def _index(self, side: int, sample: int) -> int:
        return shuffled_pass(sample, len(self.sides[side]), self.seed, side)

    def _file(self, side: int, sample: int) -> Path:
        return self.sides[side].paths[self._index(side, sample)]

    def _assemble(self, step: int) -> Copy:
        mine = distributed.share_in_parts(self.config.batch_size, self.parts)
        samples = [self._samples(step)[number] for number in mine]
        batch = self.kind(*(scale(torch.stack([self._crop(side, k) for k in samples])) for side in (X, Y)))
        self._at.pop(step, None)
        return self._copies.begin(batch)

    def _crop(self, side: int, sample: int) -> Shaped[Tensor, "_ size size"]:
        index = self._index(side, sample)
        self._at[sample // self.config.batch_size] = self.sides[side].paths[index]
        picture = self.sides[side][index]
        random = draws(self.seed, side, sample)
        crop = cut(picture, self.config.crop_size, *random.random(2))
        return crop.flip(-1) if self.config.flip and random.random() < 0.5 else crop


def cut(picture: Shaped[Tensor, "_ h w"], size: int, down: float, right: float) -> Shaped[Tensor, "_ size size"]:
    """The square whose upper left corner lies at these shares, in [0, 1), of the way it can move."""
    top, left = (int(share * (room - size + 1)) for share, room in zip((down, right), picture.shape[1:], strict=True))
    return picture[:, top : top + size, left : left + size]


def scale(pictures: Shaped[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """0…255 → [-1, 1]; what is no bytes lies there already."""
    if pictures.is_floating_point():
        return pictures
    return pictures.to(torch.float32).div(127.5).sub(1)


def held_out(
    x: Sequence[Path],
    y: Sequence[Path],
    config: UnpairedConfig,
    count: int = 4,
    kind: type[Batch] = UnpairedBatch,
    pixels: tuple[Kind, Kind] = (RGB, RGB),
) -> Batch:
    """The centres of `count` pictures of each side, spread evenly over the list: always the same ones."""
    batch = []
    for paths, of in zip((x, y), pixels, strict=True):
        chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(x), len(y))).round().astype(int)]
        pictures = _pictures(chosen, of, config, Room(0))
        batch.append(scale(torch.stack([cut(pictures[i], config.crop_size, 0.5, 0.5) for i in range(len(chosen))])))
    return kind(*batch)


def _pictures(paths: Sequence[Path], kind: Kind, config: UnpairedConfig, room: Room) -> Pictures:
    files = PictureCache(config.cache_folder) if config.cache_folder else None
    return Pictures(paths, config.load_size, config.crop_size, room, config.resize == "shorter_side", files, kind)
