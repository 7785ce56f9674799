"""Task: the files of one evaluation, defined by the data, for a run, a folder or a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cyclegan.images.pixel_format import RGB, PixelFormat


class Task(NamedTuple):
    """Images to translate to one target, and the images that their translations are compared with."""

    name: str  # photo2monet
    to: str  # the target: monet
    sources: Sequence[Path]
    truths: Sequence[Path] = ()  # true translations, aligned with the sources; () if unknown
    references: Sequence[Path] = ()  # real images of the target, for realism
    held_out: Sequence[Path] = ()  # other real ones, for the reference row of realism
    examples: Sequence[Sequence[Path]] = ()  # style images for a Stylizer, a group for each source
    fit: tuple[Sequence[Path], Sequence[Path]] = ((), ())  # training images of both sides, that baselines are fitted on
    metrics: tuple[str, ...] = ()  # names of metrics; () for all that the data allow
    border: int = 0  # px of the border of a truth that are not scored
    format: PixelFormat = RGB  # pixel format of the translations
