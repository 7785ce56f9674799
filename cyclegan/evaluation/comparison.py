"""Comparison of translators on the same images: an image grid, costs and metrics.

Images     Reduced to `size` on their longer side, one at a time; translations are rounded to 8 bits.
Timed      A square cut from the center of the first image, at every size of `timed` (see
           evaluation/timing.py).
Costs      Given with the translators. Unknown costs are printed as "not known", zeros as "none".
Errors     A translator that cannot be built, raises, or returns no image is reported; the others continue.
Metrics    Those of cyclegan.metrics.table that are named; realism needs real images of the target.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from tqdm import tqdm

from cyclegan.data.cards import all_domains, locate
from cyclegan.data.task import Task
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.evaluation.baselines import ColorMap, MedianColorMap, median
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.evaluation.results import Results
from cyclegan.evaluation.tasks import subsample
from cyclegan.evaluation.timing import Timing, device_name, measure
from cyclegan.functional.color import color_moments, monge_kantorovich
from cyclegan.images.find import find_images, none_found
from cyclegan.images.rgb8 import read_picture, reduced
from cyclegan.images.tensors import from_bytes, read, to_bytes
from cyclegan.metrics.table import select
from cyclegan.protocols import Images, Translator


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a translator before its first translation. None means not known; empty or 0 means none."""

    parameters: int | None = None
    training_images: int | None = None
    training_hours: float | None = None
    style_images: int | None = None  # used in training, or given as the style
    weights: tuple[str, ...] | None = None  # pretrained weights that are used


UNTRAINED = Cost(parameters=0, training_images=0, training_hours=0.0, style_images=0, weights=())


class Entry(NamedTuple):
    """Translator with its cost."""

    translator: Translator
    cost: Cost = Cost()


@dataclass(frozen=True)
class Unavailable:
    """Placeholder for a translator that could not be built; it raises its error."""

    error: UserError

    def translate(self, images: Images) -> Images:
        """Raise the error."""
        raise self.error


@dataclass(frozen=True)
class OneStylePerImage:
    """Several translators; each image uses one of them, chosen by the hash of its pixels."""

    translators: Sequence[Translator]

    def translate(self, images: Images) -> Images:
        """Translate (n, 3, h, w) → (n, 3, h, w)."""
        return torch.cat([self._of(image).translate(image) for image in images.split(1)])

    def _of(self, image: Images) -> Translator:
        digest = hashlib.sha256(to_bytes(image).numpy().tobytes()).digest()
        return self.translators[int.from_bytes(digest[:8]) % len(self.translators)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """Translations, cost and timings of one translator."""

    cost: Cost
    pictures: Sequence[np.ndarray]  # uint8 (h, w, 3), none if one of them failed
    timings: Mapping[int, Timing]  # by the size of the square in pixels
    error: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Results of all translators on the same images."""

    images: Sequence[Path]
    sources: Sequence[np.ndarray]  # uint8 (h, w, 3), as they were translated
    timed: Sequence[int]
    device: str
    results: Mapping[str, Result]
    metrics: Results | None  # of those that translated all images; None where no metric was named


def compare_translators(
    entries: Mapping[str, Entry],
    task: Task,
    options: EvaluationOptions,
    timed: Sequence[int] = (256, 512),
) -> Comparison:
    """Translate the sources of a task with every translator, time and measure the results.

    The order of the entries is kept. If `options.metrics` is empty, no metrics are measured.
    """
    select(options.metrics)
    sources = [reduced(read_picture(path), options.size) for path in task.sources]
    first = Image.fromarray(read_picture(task.sources[0]))
    squares = {side: from_bytes(np.asarray(ImageOps.fit(first, (side, side)))).to(options.device) for side in timed}
    results = {
        name: _result(entry, sources, squares, options.device)
        for name, entry in tqdm(entries.items(), unit="method", disable=None)
    }
    translated = {
        name: dict(zip(task.sources, result.pictures, strict=True))
        for name, result in results.items()
        if result.pictures
    }
    wanted = options.metrics is None or len(options.metrics) > 0
    return Comparison(
        images=tuple(task.sources),
        sources=sources,
        timed=tuple(timed),
        device=device_name(options.device),
        results=results,
        metrics=evaluate(translated, task, options) if wanted else None,
    )


def locate_images(places: Sequence[Path], count: int | None = None) -> list[Path]:
    """Return the image files in files and folders; at most `count` of them, evenly spaced.

    Raises UserError for none.
    """
    found = [path for place in map(_located, places) for path in (find_images(place) if place.is_dir() else [place])]
    if not found:
        raise none_found(*places)
    return subsample(found, count)


def color_transfer(sources: Sequence[Path], styles: Sequence[Path], flatten: bool = False) -> Translator:
    """Fit the Monge-Kantorovich map from the colors of all sources to those of all styles.

    flatten  Apply a 5×5 median first, both for the fit and in the translator.
    """
    target = color_moments(map(read, styles))
    if flatten:
        return MedianColorMap(monge_kantorovich(color_moments(median(read(path)) for path in sources), target))
    return ColorMap(monge_kantorovich(color_moments(map(read, sources)), target))


def _located(place: Path) -> Path:
    """Find a path of datasets/ in the folder that stores the data set.

    A built-in data set is made on first use.
    """
    if place.exists():
        return place
    root, name, *rest = (*place.parts, "", "")
    domain = next((domain for domain in all_domains().values() if domain.card.name == name), None)
    found = locate(domain).joinpath(*rest) if root == "datasets" and domain else place
    if not found.exists():
        raise UserError(f"{found}: does not exist; give image files or folders")
    return found


def _result(entry: Entry, sources: Sequence[np.ndarray], squares: Mapping[int, Images], device: torch.device) -> Result:
    """Translate and time until an error occurs, and keep the error; an interrupt is not caught."""
    pictures: list[np.ndarray] = []
    timings: dict[int, Timing] = {}
    error = None
    try:
        pictures = [_translated(entry.translator, source, device) for source in sources]
        for size, square in squares.items():
            timings[size] = measure(entry.translator, square)
    except Exception as problem:  # arbitrary code may be compared
        error = _one_line(problem)
    return Result(cost=entry.cost, pictures=pictures, timings=timings, error=error)


def _translated(translator: Translator, source: np.ndarray, device: torch.device) -> UInt8[np.ndarray, "_ _ 3"]:
    images = from_bytes(source).to(device)
    with torch.no_grad():
        translated = translator.translate(images)
    if translated.shape != images.shape:
        raise UserError(f"returned {tuple(translated.shape)} for {tuple(images.shape)}; the shape must be kept")
    if not translated.isfinite().all():
        raise NotFiniteError("returned values that are not finite; the weights are damaged or training diverged")
    return to_bytes(translated)[0].numpy()


def _one_line(problem: Exception) -> str:
    text = " ".join(str(problem).split())
    return text if isinstance(problem, UserError) else f"{type(problem).__name__}: {text[:300]}"
