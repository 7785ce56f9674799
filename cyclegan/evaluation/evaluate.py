"""Translators against known truths: every test image once, every metric for each image, intervals over images.

Translated   the whole picture, one at a time; rounded to 8 bits as it would lie on disk.
Scored       the part without `margin` pixels of border: there a translator lacks what the truth has seen.
Columns      the table METRICS; a metric of (picture, truth) becomes a column by a line there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from cyclegan.errors import NotFiniteError, UserError
from cyclegan.evaluation.bootstrap import Estimate, bootstrap
from cyclegan.images import from_bytes, to_bytes
from cyclegan.metrics.fidelity import PSNR_PROTOCOL, SSIM_PROTOCOL, psnr, ssim
from cyclegan.pictures import read_picture
from cyclegan.protocols import Translator

SMALLEST = 11  # px of a side that can be scored: the window of SSIM


class Metric(NamedTuple):
    """A column: how it scores one picture, and how it is written down."""

    score: Callable[[np.ndarray, np.ndarray], float]
    title: str
    digits: int
    protocol: str


METRICS = {
    "psnr": Metric(psnr, "PSNR (dB)", 2, PSNR_PROTOCOL),
    "ssim": Metric(ssim, "SSIM", 3, SSIM_PROTOCOL),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one translator reached, by metric."""

    values: Mapping[str, np.ndarray]  # one for each image
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]  # to the reference, image by image


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What all translators reached on one set of pairs."""

    split: str
    images: tuple[str, ...]
    margin: int
    reference: str  # the row that the differences are to
    rows: Mapping[str, Row]


def evaluate(
    translators: Mapping[str, Translator],
    sources: Sequence[Path],
    truths: Sequence[Path],
    margin: int,
    reference: str,
) -> Evaluation:
    """Score every translator on every pair; the rows keep the order of the translators."""
    _require_pairs(sources, truths)
    values = {name: _scores(translator, sources, truths, margin) for name, translator in translators.items()}
    return Evaluation(
        split=f"{sources[0].parent.name} → {truths[0].parent.name}",
        images=tuple(source.name for source in sources),
        margin=margin,
        reference=reference,
        rows={name: _row(scores, values[reference]) for name, scores in values.items()},
    )


def translate_file(translator: Translator, source: Path) -> UInt8[np.ndarray, "h w 3"]:
    """A picture file translated, as 8-bit levels."""
    return translate(translator, read_picture(source), str(source))


def translate(translator: Translator, picture: UInt8[np.ndarray, "h w 3"], name: str) -> UInt8[np.ndarray, "h w 3"]:
    """A picture translated, as 8-bit levels; an error names it."""
    with torch.no_grad():
        translated = translator.translate(from_bytes(picture))
    if not translated.isfinite().all():
        raise NotFiniteError(f"{name}: its translation is not finite; the weights are damaged or training diverged")
    return to_bytes(translated)[0].numpy()


def _scores(
    translator: Translator, sources: Sequence[Path], truths: Sequence[Path], margin: int
) -> dict[str, np.ndarray]:
    """One value for each image, by metric."""
    pairs = [_pair(translator, source, truth, margin) for source, truth in zip(sources, truths, strict=True)]
    return {name: np.array([metric.score(*pair) for pair in pairs]) for name, metric in METRICS.items()}


def _pair(translator: Translator, source: Path, truth: Path, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Translation and truth, without their borders."""
    picture, answer = translate_file(translator, source), read_picture(truth)
    if picture.shape != answer.shape:
        raise UserError(f"{truth}: {_size(answer)}, but its source is {_size(picture)}; make the pair equal in size")
    height, width = picture.shape[:2]
    if min(height, width) - 2 * margin < SMALLEST:
        raise UserError(f"{source}: {_size(picture)} leaves less than {SMALLEST} pixels inside a margin of {margin}")
    inside = np.s_[margin : height - margin, margin : width - margin]
    return picture[inside], answer[inside]


def _row(values: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Row:
    return Row(
        values=values,
        estimates={name: bootstrap(values[name]) for name in values},
        differences={name: bootstrap(values[name] - reference[name]) for name in values},
    )


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


def _require_pairs(sources: Sequence[Path], truths: Sequence[Path]) -> None:
    if not sources:
        raise UserError("there are no test images to evaluate on; check the test folders of the data set")
    here, there = ([_pair_name(path) for path in side] for side in (sources, truths))
    if here != there:
        example = min(set(here) ^ set(there), default="their order")
        raise UserError(f"{sources[0].parent}: its pictures must be paired by name with their truths; see {example}")


def _pair_name(path: Path) -> str:
    """What the two pictures of a pair share; the official archives call them 1_A.jpg and 1_B.jpg."""
    return path.stem.removesuffix("_A").removesuffix("_B")
