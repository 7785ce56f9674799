"""Looks at a run while it trains: what ails it, and how far its translations are from pictures that were kept aside.

Symptoms   of the held-out pictures that are sampled anyway, if they are RGB, and of the discriminators
           (cyclegan.metrics.symptoms).
Validation patch-SWD of the validation pictures' translations to the validation pictures of the other side: it needs no
           weights and follows the hidden truth (docs/evaluation.md). The sum over both directions chooses the best
           weights. At most 32 pictures a side, spread evenly, at the size of the crops that are trained on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from cyclegan.data.sources import ENOUGH
from cyclegan.images import to_bytes
from cyclegan.metrics.patches import Projected, project, swd
from cyclegan.metrics.symptoms import alarms, overfit, symptoms
from cyclegan.protocols import Images, Preview, Translator
from cyclegan.training.judging import Verdict

PICTURES = 32  # of a side to validate on
NAN = "translations are not finite; training has diverged: go back to an earlier checkpoint with a lower learning rate"


@dataclass(frozen=True)
class Validation:
    """One direction: what is translated, and the real pictures that it should look like."""

    translator: Translator
    sources: Images
    targets: Projected

    @classmethod
    def of(cls, translator: Translator, sources: Images, targets: Images) -> "Validation":
        """Images on the translator's device."""
        return cls(translator, sources, project(list(to_bytes(targets).numpy())))

    @classmethod
    def of_each_way(cls, translators: Mapping[str, Translator], x: Images, y: Images) -> "dict[str, Validation]":
        """All that is learned, by what it is called: G of y, F of x."""
        ways = {"y": ("G(x)", x, y), "x": ("F(y)", y, x)}
        return {name: cls.of(translators[to], *pair) for to, (name, *pair) in ways.items() if to in translators}

    def distance(self) -> float:
        """Smaller is better; infinite for what is not finite."""
        with torch.no_grad():
            translated = torch.cat([self.translator.translate(image) for image in self.sources.split(1)])
        if not translated.isfinite().all():
            return float("inf")
        return swd(project(list(to_bytes(translated).numpy())), self.targets)


@dataclass(frozen=True)
class Examiner:
    """The judge of a training with two directions."""

    validations: Mapping[str, Validation] = field(default_factory=dict)  # "patch-SWD G(x)" -> what it is found by
    trained: Callable[[], Mapping[str, float]] = dict  # health of a preview of pictures that are trained on

    def __call__(self, preview: Preview) -> Verdict:
        """While the networks carry their averages."""
        shown = min((len(sources) for sources, _ in preview.translations.values()), default=0)
        numbers, heard = _discriminators(preview.health, self.trained() if shown >= ENOUGH else {})
        for direction, (sources, translations) in preview.translations.items():
            if not translations.isfinite().all():
                heard[f"NaN, {direction}"] = NAN
                continue
            if (sources.shape[1], translations.shape[1]) != (3, 3):
                continue  # what is known of symptoms was seen in RGB
            found = symptoms(*(list(to_bytes(images).numpy()) for images in (sources, translations)))
            numbers |= {f"{name} {direction}": value for name, value in found.items()}
            heard |= {f"{title}, {direction}": said for title, said in alarms(found).items()}
        if any(title.startswith("NaN") for title in heard):
            return Verdict(numbers, heard, {})
        return Verdict(numbers, heard, {name: validation.distance() for name, validation in self.validations.items()})


def _discriminators(
    health: Mapping[str, float], trained: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """How far the scores of real and of translated pictures lie apart, and of known and of new ones."""
    numbers: dict[str, float] = {}
    heard: dict[str, str] = {}
    for name in sorted(name.removesuffix(" real") for name in health if name.endswith(" real")):
        real, fake = health[f"{name} real"], health[f"{name} fake"]
        found = {"saturation": real - fake}
        if f"{name} real" in trained:
            found["overfit"] = overfit(trained[f"{name} real"], real, fake)
        numbers |= {f"{symptom} {name}": value for symptom, value in found.items()}
        finite = {symptom: value for symptom, value in found.items() if np.isfinite(value)}
        heard |= {f"{title}, {name}": text for title, text in alarms(finite).items()}
    return numbers, heard
