"""Task: what can be scored of a translation, as files; made by the data, for a run, a folder or a comparison."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cyclegan.images.pixel_format import RGB, Kind


class Task(NamedTuple):
    """Images to translate to one target, and what their translations are compared with."""

    name: str  # photo2monet
    to: str  # the target: monet
    sources: Sequence[Path]
    truths: Sequence[Path] = ()  # the right translations, aligned with the sources; () where nobody knows them
    references: Sequence[Path] = ()  # real images of the target, for realism
    held_out: Sequence[Path] = ()  # other real ones, for the reference row of realism
    examples: Sequence[Sequence[Path]] = ()  # what a Stylizer is bound to, a group for each source
    fit: tuple[Sequence[Path], Sequence[Path]] = ((), ())  # training images of both sides, that baselines are fitted on
    metrics: tuple[str, ...] = ()  # names of metrics; () for all that the data allow
    border: int = 0  # px of the border of a truth that are not scored
    format: Kind = RGB  # pixel format of the translations
