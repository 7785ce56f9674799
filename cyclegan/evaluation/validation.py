"""Validation during training: failure modes, discriminator scores, and a distance to select weights.

Failures   of the translations of a preview, and of discriminators by their mean probabilities of real (see
           cyclegan.metrics.failure_modes); overfitting by comparing training images with held-out ones.
Distance   for paired data, L1 of the translations to the truth. For unpaired data, patch-SWD of the
           translations to validation images of the target: it needs no weights and agrees with the hidden
           truth (docs/evaluation.md). The smallest sum over all targets selects the best weights. At most 32
           images a side, evenly spaced, central crops of the training size, rounded to 8 bits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cyclegan.data.splits import MIN_TEST
from cyclegan.images.tensors import to_bytes
from cyclegan.metrics.evaluation_data import EvaluationData
from cyclegan.metrics.failure_modes import failures, measure_failure_modes, overfit
from cyclegan.metrics.patches import require_patch_size
from cyclegan.metrics.table import METRICS, Metric
from cyclegan.protocols import Images, Preview, Translates, Translator
from cyclegan.training.best_weights import ValidationResult

VALIDATION_IMAGES = 32  # of a side
NAN = "translations are not finite; training has diverged: go back to an earlier checkpoint with a lower learning rate"

Distance = Callable[[], float]  # smaller is better; infinite for what is not finite
Scores = Mapping[str, tuple[float, float]]  # discriminator -> mean probability of real, of real and of fake images


@dataclass(frozen=True)
class Validator:
    """Validation of a method while its networks hold their averaged weights."""

    distances: Mapping[str, Distance] = field(default_factory=dict)  # name of a target -> distance
    training_scores: Callable[[], Scores] = dict  # scores on a preview of training images
    remedies: Mapping[str, str] = field(default_factory=dict)  # failure mode -> what helps with the method

    @classmethod
    def of(cls, method: Any, dataset: Any, remedies: Mapping[str, str], device: torch.device) -> "Validator":
        """Build the validation of a method on the validation split of a data set, if it has one."""
        from cyclegan.training.loop import to

        known = to(dataset.held_out("train"), device)
        distances: Mapping[str, Distance] = {}
        if dataset.spec.validated and isinstance(method, Translates):
            batch = to(dataset.held_out("validation", VALIDATION_IMAGES), device)
            distances = _distances(method.translators, dataset.spec, batch)
        return cls(distances, lambda: method.preview(known).scores, remedies)

    def __call__(self, preview: Preview) -> ValidationResult:
        """Return numbers, messages and distances of a run at one step."""
        shown = min((len(sources) for sources, _ in preview.translations.values()), default=0)
        known = self.training_scores() if shown >= MIN_TEST and preview.scores else {}
        numbers, messages = self._of_discriminators(preview.scores, known)
        for title, (sources, translations) in preview.translations.items():
            if not translations.isfinite().all():
                return ValidationResult(numbers, messages | {f"NaN, {title}": NAN}, {})
            if (sources.shape[1], translations.shape[1]) != (3, 3):
                continue  # thresholds of failure modes are known for RGB only
            found = measure_failure_modes(*(list(to_bytes(images).numpy()) for images in (sources, translations)))
            numbers |= {f"{name} {title}": value for name, value in found.items()}
            messages |= {f"{mode}, {title}": text for mode, text in failures(found, self.remedies).items()}
        return ValidationResult(numbers, messages, {name: distance() for name, distance in self.distances.items()})

    def _of_discriminators(self, scores: Scores, known: Scores) -> tuple[dict[str, float], dict[str, str]]:
        """Compute differences between discriminator scores.

        They are between real and fake images, and between training and held-out images.
        """
        numbers: dict[str, float] = {}
        messages: dict[str, str] = {}
        for name, (real, fake) in sorted(scores.items()):
            found = {"saturation": real - fake}
            if name in known:
                found["overfit"] = overfit(known[name][0], real, fake)
            numbers |= {f"{mode} {name}": value for mode, value in found.items()}
            finite = {mode: value for mode, value in found.items() if np.isfinite(value)}
            messages |= {f"{mode}, {name}": text for mode, text in failures(finite, self.remedies).items()}
        return numbers, messages


def _distances(translators: Mapping[str, Translator], spec: Any, batch: Any) -> dict[str, Distance]:
    """Return the distance of each target: L1 to the truth for pairs, else patch-SWD to real images."""
    found: dict[str, Distance] = {}
    for target, translator in translators.items() if spec.kind in ("unpaired", "paired") else ():
        source, result = spec.direction(target)
        found[target] = TargetDistance.of(
            translator, getattr(batch, source), getattr(batch, result), spec.kind == "paired"
        )
    return found


@dataclass(frozen=True)
class TargetDistance:
    """Distance from translations to their truths, or to real images of the target, by a metric."""

    translator: Translator
    sources: Images
    metric: Metric
    data: EvaluationData

    @classmethod
    def of(cls, translator: Translator, sources: Images, targets: Images, paired: bool) -> "TargetDistance":
        """Build the distance on the translator's device.

        paired  `targets` are the truths of the sources.
        """
        if not paired:
            require_patch_size(list(to_bytes(targets).numpy()))
        data = EvaluationData(list(to_bytes(sources).numpy()), list(to_bytes(targets).numpy()))
        return cls(translator, sources, METRICS["l1" if paired else "patch-swd"], data)

    def __call__(self) -> float:
        """Compute the distance; smaller is better, infinite for translations that are not finite."""
        with torch.no_grad():
            translated = torch.cat([self.translator.translate(image) for image in self.sources.split(1)])
        if not translated.isfinite().all():
            return float("inf")
        pictures = list(to_bytes(translated).numpy())
        if self.metric.measure:
            return self.metric.measure(pictures, self.data)[0]
        assert self.metric.score
        return float(np.mean([self.metric.score(*pair) for pair in zip(pictures, self.data.references, strict=True)]))
