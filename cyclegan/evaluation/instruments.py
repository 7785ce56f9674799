"""What measures translations: every instrument looks once and fills some columns of the table.

Questions  realism    Does it look like the target? Distances of the translations, as a set, from real targets.
           content    Is the content kept? Each translation beside its source. Doing nothing is perfect here, so these
                      mean something only beside the first.
           symptoms   What ails it? cyclegan.metrics.symptoms says from where on they alarm.
           optimized  What Gatys and AdaIN minimize themselves: printed, never ranked.
Intervals  95 %: of KID and patch-SWD by the jackknife over the images of both sets, of means over images by the
           bootstrap. FID, precision and recall have none: for few images their bias is larger than their spread.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.functional.statistics import gram_matrix
from cyclegan.images import from_bytes
from cyclegan.losses.perceptual import content_loss_mean
from cyclegan.metrics import distribution, patches, structure
from cyclegan.metrics.extractors import load_extractor
from cyclegan.metrics.fidelity import SSIM_PROTOCOL, ssim
from cyclegan.metrics.lpips import Lpips
from cyclegan.metrics.symptoms import symptoms
from cyclegan.networks.vgg import VGGFeatures, load_vgg

Pictures = Sequence[np.ndarray]  # uint8 (h, w, 3)
Score = Callable[[np.ndarray, np.ndarray], float]
Raw = tuple[float, float | None, float | None] | np.ndarray  # a value and its interval, or one value for each image

NAN = (float("nan"), None, None)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
LPIPS = {"lpips": ("LPIPS to source", "squeezenet"), "lpips-vgg": ("LPIPS to source, VGG-16", "vgg16")}
SYMPTOMS = "see cyclegan.metrics.symptoms"


class Column(NamedTuple):
    """How a number is written down."""

    question: str
    title: str
    better: str  # "lower", "higher", or "" where neither is
    digits: int
    how: str
    network: str = "none"  # what it looks through: name and SHA-256
    resize: str = "none"


class Instrument(NamedTuple):
    """Translations in, a number for each column out."""

    columns: Mapping[str, Column]
    measure: Callable[[Pictures], Mapping[str, Raw]]


class Subject(NamedTuple):
    """What all translations are measured against."""

    sources: Pictures  # what is translated, in the order of the translations
    references: Pictures  # real targets
    trained: Pictures  # the targets that were trained on
    device: torch.device


def patch_instrument(subject: Subject) -> Instrument:
    """patch-SWD: needs no weights."""
    targets = patches.project(subject.references)

    def measure(pictures: Pictures) -> Mapping[str, Raw]:
        return {"patch-swd": patches.swd_interval(patches.project(pictures), targets)}

    return Instrument({"patch-swd": Column("realism", "patch-SWD", "lower", 4, patches.SWD_PROTOCOL)}, measure)


def feature_instrument(name: str, subject: Subject) -> Instrument:
    """KID, FID, precision and recall in the features of an extractor."""
    extractor = load_extractor(name, subject.device)
    targets = extractor.features(subject.references, subject.device)
    described = {
        "kid": ("KID", "lower", 4, distribution.KID_PROTOCOL),
        "fid": ("FID", "lower", 1, distribution.FID_PROTOCOL),
        "precision": ("precision", "higher", 2, distribution.PRECISION_PROTOCOL),
        "recall": ("recall", "higher", 2, distribution.RECALL_PROTOCOL),
    }
    columns = {
        f"{metric}-{name}": Column(
            "realism", f"{title}, {extractor.name}", better, digits, how, extractor.described, extractor.resize
        )
        for metric, (title, better, digits, how) in described.items()
    }

    def measure(pictures: Pictures) -> Mapping[str, Raw]:
        seen = extractor.features(pictures, subject.device)
        few = min(len(seen), len(targets))
        shares = distribution.precision_recall(seen, targets) if few > distribution.NEIGHBORS else (NAN[0], NAN[0])
        found: tuple[Raw, ...] = (
            distribution.kid_interval(seen, targets) if few > 1 else NAN,
            (distribution.fid(seen, targets), None, None) if few > 1 else NAN,
            *((share, None, None) for share in shares),
        )
        return dict(zip(columns, found, strict=True))

    return Instrument(columns, measure)


def content_instrument(subject: Subject) -> Instrument:
    """What is kept of the source, by pixels; needs no weights."""
    scales = min(map(structure.scales_for, subject.sources))
    multi_scale = partial(structure.ms_ssim, scales=scales)
    columns = {
        "ssim": Column("content", "SSIM to source", "higher", 3, SSIM_PROTOCOL),
        "ms-ssim": Column("content", "MS-SSIM to source", "higher", 3, structure.ms_ssim_protocol(scales)),
        "edge-f1": Column("content", "edge-F1", "higher", 3, structure.EDGE_PROTOCOL),
    }
    scores: dict[str, Score] = {"ssim": ssim, "ms-ssim": multi_scale, "edge-f1": structure.edge_f1}
    return Instrument(columns, lambda pictures: {name: _each(f, pictures, subject) for name, f in scores.items()})


def lpips_instrument(name: str, subject: Subject) -> Instrument:
    """LPIPS to the source."""
    title, trunk = LPIPS[name]
    lpips = Lpips(subject.device, trunk)
    column = Column("content", title, "lower", 3, lpips.protocol, lpips.sha256)
    return Instrument({name: column}, lambda pictures: {name: _each(lpips, pictures, subject)})


def structure_instrument(subject: Subject) -> Instrument:
    """The distance of self-similarities."""
    vgg = _vgg([structure.LAYER], subject.device)
    score = partial(structure.structure_distance, vgg, device=subject.device)
    column = Column("content", "structure distance", "lower", 4, structure.STRUCTURE_PROTOCOL, _identity(vgg))
    return Instrument({"structure": column}, lambda pictures: {"structure": _each(score, pictures, subject)})


def symptom_instrument(subject: Subject) -> Instrument:
    """What goes wrong with generators; needs no weights."""
    columns = {
        "change": Column("symptoms", "change, levels of 255", "", 1, SYMPTOMS),
        "luma": Column("symptoms", "luma correlation", "", 2, SYMPTOMS),
        "inversion": Column("symptoms", "inverted, share", "lower", 2, SYMPTOMS),
        "diversity": Column("symptoms", "diversity", "", 2, SYMPTOMS),
        "distinct": Column("symptoms", "distinct, share", "higher", 2, SYMPTOMS),
        "checkerboard": Column("symptoms", "checkerboard", "lower", 1, SYMPTOMS),
    }
    if subject.trained:
        columns["copying"] = Column("symptoms", "copied, share", "lower", 2, SYMPTOMS)

    def measure(pictures: Pictures) -> Mapping[str, Raw]:
        found = symptoms(subject.sources, pictures, subject.trained)
        return {name: (found.get(name, NAN[0]), None, None) for name in columns}

    return Instrument(columns, measure)


def optimized_instrument(subject: Subject) -> Instrument:
    """Gram matrices beside the mean ones of the targets, deep features beside the source's."""
    vgg = _vgg(STYLE_LAYERS, subject.device)
    taps = [_style(vgg, picture, subject.device)[0] for picture in subject.references]
    targets = [torch.stack(grams).mean(dim=0) for grams in zip(*taps, strict=True)]
    how = (
        f"mean squared difference of Gram matrices from the mean ones of the targets, {', '.join(STYLE_LAYERS)}, summed"
    )
    columns = {
        "gram": Column("optimized", "Gram distance", "", 4, how, _identity(vgg)),
        "perceptual": Column(
            "optimized",
            "content distance",
            "",
            3,
            "mean squared difference of relu4_1 from the source's",
            _identity(vgg),
        ),
    }

    def measure(pictures: Pictures) -> Mapping[str, Raw]:
        gram, perceptual = [], []
        for picture, source in zip(pictures, subject.sources, strict=True):
            grams, deep = _style(vgg, picture, subject.device)
            gram.append(sum(float((a - b).square().mean()) for a, b in zip(grams, targets, strict=True)))
            perceptual.append(float(content_loss_mean(deep, _style(vgg, source, subject.device)[1])))
        return {"gram": np.array(gram), "perceptual": np.array(perceptual)}

    return Instrument(columns, measure)


@torch.no_grad()
def _style(
    vgg: VGGFeatures, picture: np.ndarray, device: torch.device
) -> tuple[list[Tensor], Float[Tensor, "1 c h w"]]:
    """(Gram matrices, the features of the deepest tap)."""
    taps = vgg(from_bytes(picture).to(device))
    return [gram_matrix(features)[0] for features in taps.values()], taps[STYLE_LAYERS[-1]]


def _each(score: Score, pictures: Pictures, subject: Subject) -> np.ndarray:
    """Of (translation, source), for each image."""
    return np.array([score(*pair) for pair in zip(pictures, subject.sources, strict=True)])


def _vgg(taps: Sequence[str], device: torch.device) -> VGGFeatures:
    return load_vgg("normalised", taps, padding="reflect", ceil=True).to(device)


def _identity(vgg: VGGFeatures) -> str:
    return f"vgg {vgg.description['sha256'][:12]}"
