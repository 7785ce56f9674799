"""All metrics of unpaired translation that can be had on this machine, for pictures that anybody may have made.

What needs weights that are not here stands in `not_run` with the reason: no other network takes its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from cyclegan.errors import UserError
from cyclegan.evaluation.bootstrap import bootstrap
from cyclegan.evaluation.instruments import (
    LPIPS,
    Column,
    Instrument,
    Pictures,
    Raw,
    Subject,
    content_instrument,
    feature_instrument,
    lpips_instrument,
    optimized_instrument,
    patch_instrument,
    structure_instrument,
    symptom_instrument,
)
from cyclegan.evaluation.protocol import Number, Protocol, digest
from cyclegan.metrics.extractors import EXTRACTORS
from cyclegan.networks.weights import WeightsMissingError, only_what_is_here

CPU = torch.device("cpu")
OF_SETS: dict[str, tuple[str, ...]] = {  # instrument -> the metrics that compare with real targets
    "patches": ("patch-swd",),
    **{
        f"features of {name}": tuple(f"{m}-{name}" for m in ("kid", "fid", "precision", "recall"))
        for name in EXTRACTORS
    },
    "optimized": ("gram", "perceptual"),
}
OF_PAIRS: dict[str, tuple[str, ...]] = {  # … and those that need the sources only
    "content": ("ssim", "ms-ssim", "edge-f1"),
    **{name: (name,) for name in LPIPS},
    "structure": ("structure",),
    "symptoms": ("change", "luma", "inversion", "diversity", "distinct", "checkerboard", "copying"),
}
WITHOUT_WEIGHTS = [*OF_SETS["patches"], *OF_PAIRS["content"], *OF_PAIRS["symptoms"]]
NAMES = [name for names in (OF_SETS | OF_PAIRS).values() for name in names]
BUILDERS: dict[str, Callable[[Subject], Instrument]] = {
    "patches": patch_instrument,
    **{f"features of {name}": partial(feature_instrument, name) for name in EXTRACTORS},
    "content": content_instrument,
    **{name: partial(lpips_instrument, name) for name in LPIPS},
    "structure": structure_instrument,
    "symptoms": symptom_instrument,
    "optimized": optimized_instrument,
}


@dataclass(eq=False)
class Suite:
    """Every metric for translations of the same sources to the same target.

    sources     what is translated, uint8 (h, w, 3) each
    references  real targets; without any, realism is not asked
    trained     the targets that were trained on; without any, copying is not asked
    only        names of metrics; all by default
    fetch       download the weights that are missing
    """

    sources: Pictures
    references: Pictures = ()
    trained: Pictures = ()
    device: torch.device = CPU
    only: Sequence[str] | None = None
    fetch: bool = False
    columns: dict[str, Column] = field(init=False, default_factory=dict)
    not_run: dict[str, str] = field(init=False, default_factory=dict)  # metric -> why

    def __post_init__(self) -> None:
        unknown = set(self.only or ()) - set(NAMES)
        if unknown:
            raise UserError(f"metrics: '{min(unknown)}' is not one of {', '.join(NAMES)}")
        self._digests = digest(self.sources), digest(self.references)
        self._instruments: list[Instrument] = []
        subject = Subject(self.sources, self.references, self.trained, self.device)
        for kind, build in BUILDERS.items():
            if self.references or kind in OF_PAIRS:
                self._build(kind, partial(build, subject))

    def measure(self, translations: Pictures) -> dict[str, Number]:
        """Every column, of translations of all sources in their order and sizes."""
        for source, translation in zip(self.sources, translations, strict=True):
            if source.shape != translation.shape:
                sizes = " for ".join(f"{picture.shape[1]}×{picture.shape[0]}" for picture in (translation, source))
                raise UserError(f"a translation of {sizes} pixels of its source; make them equal in size")
        return self._numbers(self._instruments, translations)

    def measure_set(self, pictures: Pictures) -> dict[str, Number]:
        """The columns of realism, of any other pictures: for floors and ceilings."""
        asking = [i for i in self._instruments if next(iter(i.columns.values())).question == "realism"]
        return self._numbers(asking, pictures)

    def _build(self, kind: str, build: Callable[[], Instrument]) -> None:
        """An instrument, if somebody asks for what it measures and its weights are here."""
        asked = [name for name in (OF_SETS | OF_PAIRS)[kind] if self.only is None or name in self.only]
        if not asked:
            return
        try:
            if self.fetch:
                instrument = build()
            else:
                with only_what_is_here():
                    instrument = build()
        except WeightsMissingError as error:
            self.not_run |= dict.fromkeys(asked, str(error))
            return
        self._instruments.append(instrument)
        self.columns |= {name: column for name, column in instrument.columns.items() if name in asked}

    def _numbers(self, instruments: Sequence[Instrument], pictures: Pictures) -> dict[str, Number]:
        found = {name: raw for instrument in instruments for name, raw in instrument.measure(pictures).items()}
        return {name: self._number(name, raw, len(pictures)) for name, raw in found.items() if name in self.columns}

    def _number(self, name: str, raw: Raw, count: int) -> Number:
        per_image = raw if isinstance(raw, np.ndarray) else None
        value, low, high = bootstrap(raw) if isinstance(raw, np.ndarray) else raw
        column = self.columns[name]
        with_targets = column.question in ("realism", "optimized")
        protocol = Protocol(
            metric=f"{name}: {column.how}",
            translated=count,
            sources=self._digests[0],
            reference=len(self.references) if with_targets else 0,
            references=self._digests[1] if with_targets else "none",
            extractor=column.network,
            resize=column.resize,
        )
        return Number(value=value, low=low, high=high, per_image=per_image, protocol=protocol)
