"""Validation during training: failure modes, scores of discriminators, and a distance that chooses the best weights.

Failures   of the translations of a preview, and of discriminators by their mean probabilities of real (see
           cyclegan.metrics.failure_modes). A discriminator's overfitting is told by training images beside held-out ones.
Distance   of paired data, mean |translation − truth| of central crops of validation images. Of others, patch-SWD of
           their translations to validation images of the target: it needs no weights and follows the hidden truth
           (docs/evaluation.md). The sum over all targets chooses the best weights. At most 32 images a side, spread
           evenly, at the size of the crops that are trained on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cyclegan.data.splits import MIN_TEST
from cyclegan.images import to_bytes
from cyclegan.metrics.patches import Projected, project, swd
from cyclegan.metrics.failure_modes import failures, measure_failure_modes, overfit
from cyclegan.protocols import AnyImages, Images, Preview, Translates, Translator
from cyclegan.training.judging import Verdict

VALIDATION_IMAGES = 32  # of a side
NAN = "translations are not finite; training has diverged: go back to an earlier checkpoint with a lower learning rate"

Distance = Callable[[], float]  # smaller is better; infinite for what is not finite
Scores = Mapping[str, tuple[float, float]]  # discriminator -> mean probability of real, of real and of fake images


@dataclass(frozen=True)
class Validator:
    """Validates a method while its networks carry their averages."""

    distances: Mapping[str, Distance] = field(default_factory=dict)  # name of a target -> distance
    training_scores: Callable[[], Scores] = dict  # scores on a preview of training images
    remedies: Mapping[str, str] = field(default_factory=dict)  # failure mode -> what helps with the method

    @classmethod
    def of(cls, method: Any, dataset: Any, remedies: Mapping[str, str], device: torch.device) -> "Validator":
        """Validate a method on the validation split of a data set, if it has one."""
        from cyclegan.training.loop import to

        known = to(dataset.held_out("train"), device)
        distances: Mapping[str, Distance] = {}
        if dataset.spec.validated and isinstance(method, Translates):
            batch = to(dataset.held_out("validation", VALIDATION_IMAGES), device)
            distances = _distances(method.translators, dataset.spec, batch)
        return cls(distances, lambda: method.preview(known).scores, remedies)

    def __call__(self, preview: Preview) -> Verdict:
        """Numbers, messages and distances of a run at one step."""
        shown = min((len(sources) for sources, _ in preview.translations.values()), default=0)
        known = self.training_scores() if shown >= MIN_TEST and preview.scores else {}
        numbers, messages = self._of_discriminators(preview.scores, known)
        for title, (sources, translations) in preview.translations.items():
            if not translations.isfinite().all():
                return Verdict(numbers, messages | {f"NaN, {title}": NAN}, {})
            if (sources.shape[1], translations.shape[1]) != (3, 3):
                continue  # what is known of failure modes was seen in RGB
            found = measure_failure_modes(*(list(to_bytes(images).numpy()) for images in (sources, translations)))
            numbers |= {f"{name} {title}": value for name, value in found.items()}
            messages |= {f"{mode}, {title}": text for mode, text in failures(found, self.remedies).items()}
        return Verdict(numbers, messages, {name: distance() for name, distance in self.distances.items()})

    def _of_discriminators(self, scores: Scores, known: Scores) -> tuple[dict[str, float], dict[str, str]]:
        """How far apart scores of real and of fake images lie, and those of training and of held-out images."""
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
    """Distance of each target: to the truth of pairs, else to real images by their patches."""
    found: dict[str, Distance] = {}
    for target, translator in translators.items():
        source, result = spec.direction(target)
        sources, targets = getattr(batch, source), getattr(batch, result)
        if spec.kind == "paired":
            found[target] = TruthDistance(translator, sources, targets)
        elif spec.kind == "unpaired":
            found[target] = PatchDistance.of(translator, sources, targets)
    return found


@dataclass(frozen=True)
class TruthDistance:
    """Mean absolute difference of translations from the truth, of a range of 2."""

    translator: Translator
    sources: AnyImages
    truths: AnyImages

    def __call__(self) -> float:
        """Smaller is better."""
        distance = float((_translate(self.translator, self.sources) - self.truths).abs().mean())
        return distance if np.isfinite(distance) else float("inf")


@dataclass(frozen=True)
class PatchDistance:
    """Sliced Wasserstein distance of the patches of translations to those of real images of the target."""

    translator: Translator
    sources: Images
    targets: Projected

    @classmethod
    def of(cls, translator: Translator, sources: Images, targets: Images) -> "PatchDistance":
        """Images on the translator's device."""
        return cls(translator, sources, project(list(to_bytes(targets).numpy())))

    def __call__(self) -> float:
        """Smaller is better; infinite for what is not finite."""
        translated = _translate(self.translator, self.sources)
        if not translated.isfinite().all():
            return float("inf")
        return swd(project(list(to_bytes(translated).numpy())), self.targets)


@torch.no_grad()
def _translate(translator: Translator, sources: AnyImages) -> AnyImages:
    return torch.cat([translator.translate(image) for image in sources.split(1)])
