"""Any number of translators × the same pictures → one wall of pictures, what they cost, and how good they are.

Pictures   reduced to `size` on their longer side, one at a time; translations are rounded to 8 bits.
Timed      a square cut from the middle of the first picture, at every size of `timed` (see evaluation/timing.py).
Facts      come from whoever built the translators. Unknown ones read "not known", zeros "none".
Failures   a translator that cannot be built, raises, or returns what is no picture is named; the others continue.
Metrics    those of the suite that are asked for; what compares with real targets needs some.
"""

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
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.evaluation.assessment import Assessment, assess
from cyclegan.evaluation.rivals import ColorMap, MedianColorMap, median
from cyclegan.evaluation.suite import Suite
from cyclegan.evaluation.timing import Timing, describe, measure
from cyclegan.functional.color import color_moments, monge_kantorovich
from cyclegan.images import from_bytes, read, to_bytes
from cyclegan.pictures import read_picture, reduced
from cyclegan.pixels.find import find_images, none_found
from cyclegan.protocols import Images, Translator


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What it took before the first translation. None: not known; nothing or 0: none."""

    parameters: int | None = None
    training_images: int | None = None
    training_hours: float | None = None
    style_images: int | None = None  # seen in training, or given as the style
    weights: tuple[str, ...] | None = None  # pretrained ones that are used


UNTRAINED = Facts(parameters=0, training_images=0, training_hours=0.0, style_images=0, weights=())


class Entry(NamedTuple):
    """What is compared."""

    translator: Translator
    facts: Facts = Facts()


@dataclass(frozen=True)
class Unavailable:
    """Stands for a translator that could not be built: the comparison names its error and goes on."""

    error: UserError

    def translate(self, images: Images) -> Images:
        """Raises the error."""
        raise self.error


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What one translator did and cost."""

    facts: Facts
    pictures: Sequence[np.ndarray]  # uint8 (h, w, 3), none if one of them failed
    timings: Mapping[int, Timing]  # by the size of the square in pixels
    error: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What all translators did with the same pictures."""

    images: Sequence[Path]
    sources: Sequence[np.ndarray]  # uint8 (h, w, 3), as they were translated
    timed: Sequence[int]
    device: str
    results: Mapping[str, Result]
    assessment: Assessment | None  # of those that translated all pictures; None where no metric was asked for


class Targets(NamedTuple):
    """Real pictures of the target: those that realism compares with, and others that give the floor."""

    references: Sequence[Path] = ()
    held_out: Sequence[Path] = ()


NO_TARGETS = Targets()


def compare(
    entries: Mapping[str, Entry],
    images: Sequence[Path],
    device: torch.device,
    size: int | None = 256,
    timed: Sequence[int] = (256, 512),
    metrics: Sequence[str] = (),
    targets: Targets = NO_TARGETS,
    fetch: bool = False,
) -> Comparison:
    """Translate the same pictures with every translator, time and measure it; the order of the entries is kept.

    `fetch` downloads the weights that metrics lack; else they are named as not run.
    """
    sources = [reduced(read_picture(path), size) for path in images]
    first = Image.fromarray(read_picture(images[0]))
    squares = {side: from_bytes(np.asarray(ImageOps.fit(first, (side, side)))).to(device) for side in timed}
    references, held_out = ([reduced(read_picture(path), size) for path in paths] for paths in targets)
    asked = None if "all" in metrics else metrics
    suite = Suite(sources, references, references, device=device, only=asked, fetch=fetch) if metrics else None
    results = {
        name: _result(entry, sources, squares, device)
        for name, entry in tqdm(entries.items(), unit="method", disable=None)
    }
    translated = {name: result.pictures for name, result in results.items() if result.pictures}
    return Comparison(
        images=tuple(images),
        sources=sources,
        timed=tuple(timed),
        device=describe(device),
        results=results,
        assessment=assess(suite, translated, held_out) if suite else None,
    )


def locate_images(places: Sequence[Path], count: int | None = None) -> list[Path]:
    """The picture files that files and folders name; if `count` is given so many of them, evenly spaced."""
    found = [path for place in map(_located, places) for path in (find_images(place) if place.is_dir() else [place])]
    if not found:
        raise none_found(*places)
    if count is None or count >= len(found):
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, count).round().astype(int)]


def color_transfer(sources: Sequence[Path], styles: Sequence[Path], flatten: bool = False) -> Translator:
    """The Monge-Kantorovich map from the colors of all sources to those of all styles; `flatten`: of their medians."""
    target = color_moments(map(read, styles))
    if flatten:
        return MedianColorMap(monge_kantorovich(color_moments(median(read(path)) for path in sources), target))
    return ColorMap(monge_kantorovich(color_moments(map(read, sources)), target))


def _located(place: Path) -> Path:
    """The place, or the same below the folder of a data set that is elsewhere; an embedded set is made on first use."""
    if place.exists():
        return place
    root, name, *rest = (*place.parts, "", "")
    domain = next((domain for domain in all_domains().values() if domain.card.name == name), None)
    found = locate(domain).joinpath(*rest) if root == "datasets" and domain else place
    if not found.exists():
        raise UserError(f"{found}: does not exist; give picture files or folders")
    return found


def _result(entry: Entry, sources: Sequence[np.ndarray], squares: Mapping[int, Images], device: torch.device) -> Result:
    """All that works, and the error that ended it; an interrupt is none."""
    pictures: list[np.ndarray] = []
    timings: dict[int, Timing] = {}
    error = None
    try:
        pictures = [_translated(entry.translator, source, device) for source in sources]
        for size, square in squares.items():
            timings[size] = measure(entry.translator, square)
    except Exception as problem:  # it may be anybody's code
        error = _one_line(problem)
    return Result(facts=entry.facts, pictures=pictures, timings=timings, error=error)


def _translated(translator: Translator, source: np.ndarray, device: torch.device) -> UInt8[np.ndarray, "_ _ 3"]:
    images = from_bytes(source).to(device)
    with torch.no_grad():
        translated = translator.translate(images)
    if translated.shape != images.shape:
        raise UserError(f"returned {tuple(translated.shape)} for {tuple(images.shape)}; the shape must be kept")
    if not translated.isfinite().all():
        raise NotFiniteError("returned what is not finite; the weights are damaged or training diverged")
    return to_bytes(translated)[0].numpy()


def _one_line(problem: Exception) -> str:
    text = " ".join(str(problem).split())
    return text if isinstance(problem, UserError) else f"{type(problem).__name__}: {text[:300]}"
