"""Comparison of translations with the truth: pairs of test images, at full size, without unscored borders."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.evaluation.candidates import size_of
from cyclegan.evaluation.measurement_id import Number, digest, number
from cyclegan.images.rgb8 import read_picture
from cyclegan.metrics.evaluation_data import Picture
from cyclegan.metrics.table import Metric

SMALLEST = 11  # smallest side in px that can be compared with the truth: the window of SSIM


class OtherSizeError(UserError):
    """Error for a translation that differs in size from its truth."""


class Pairs:
    """Sources of a task with their truths. Raises UserError where their names do not correspond."""

    def __init__(self, task: Task) -> None:
        self.task = task
        _require_names(task.sources, task.truths)

    @cached_property
    def digests(self) -> tuple[str, str]:
        """Return the digests of sources and of truths."""
        return digest(map(read_picture, self.task.sources)), digest(map(read_picture, self.task.truths))

    def numbers(self, translations: Iterator[Picture], metrics: Mapping[str, Metric]) -> dict[str, Number]:
        """Compute the mean of every metric over the images.

        Raises OtherSizeError for a translation of another size than its truth.
        """
        pairs = zip(self.task.sources, self.task.truths, translations, strict=True)
        scores = [self._score(*pair, metrics) for pair in pairs]
        measured = {
            "translated": len(scores),
            "sources": self.digests[0],
            "reference": len(scores),
            "references": self.digests[1],
            "border": self.task.border,
        }
        return {
            name: number(np.array([score[name] for score in scores]), metric=f"{name}: {metric.how}", **measured)
            for name, metric in metrics.items()
        }

    def _score(self, source: Path, truth: Path, picture: Picture, metrics: Mapping[str, Metric]) -> dict[str, float]:
        answer, border = read_picture(truth), self.task.border
        if picture.shape != answer.shape:
            raise OtherSizeError(
                f"{truth}: {size_of(answer)}, but its source is {size_of(picture)}; make the pair equal in size"
            )
        height, width = picture.shape[:2]
        if min(height, width) - 2 * border < SMALLEST:
            size = size_of(picture)
            raise UserError(f"{source}: {size} leaves less than {SMALLEST} pixels inside a border of {border}")
        inside = np.s_[border : height - border, border : width - border]
        return {name: metric.score(picture[inside], answer[inside]) for name, metric in metrics.items() if metric.score}


def _require_names(sources: Sequence[Path], truths: Sequence[Path]) -> None:
    here, there = ([_pair_name(path) for path in side] for side in (sources, truths))
    if here != there:
        example = min(set(here) ^ set(there), default="their order")
        raise UserError(f"{sources[0].parent}: its images must be paired by name with their truths; see {example}")


def _pair_name(path: Path) -> str:
    """Return the name that both images of a pair share; the official archives use 1_A.jpg and 1_B.jpg."""
    return path.stem.removesuffix("_A").removesuffix("_B")
