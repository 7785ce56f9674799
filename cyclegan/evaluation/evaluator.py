"""Evaluation of translators on a task: every metric that the task has images for, together with baselines.

Images     Translated with a longer side of at most 256 px; for comparison with the truth, at full size,
           without its border. Translations are rounded to 8 bits, as they would be stored.
Rows       reference  Real images of the target that were not trained on, measured as if they were
                      translations: the best possible realism, apart from chance.
           identity   The unchanged sources.
           baselines  Translators without training, fitted on at most 200 training images a side; then those
                      given; then oracles, marked *, fitted on the same pairs that are scored, compared with
                      the truth alone.
Stylizers  are bound to the examples of the task, a group for each source.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.evaluation.baselines import Identity, fit_baselines, fit_mean_target, fit_oracles
from cyclegan.evaluation.candidates import Candidate, require_translations, translate_source
from cyclegan.evaluation.measurement_id import Number, digest, number, require_comparable
from cyclegan.evaluation.pairs import OtherSizeError, Pairs
from cyclegan.evaluation.results import IDENTITY, REFERENCE, Results
from cyclegan.evaluation.tasks import Chosen, choose, subsample
from cyclegan.images.rgb8 import read_picture, reduced
from cyclegan.metrics.cycle import Cycle, cycle
from cyclegan.metrics.evaluation_data import CPU, EvaluationData, Picture, Pictures
from cyclegan.metrics.failure_modes import failures
from cyclegan.metrics.measures import Raw
from cyclegan.metrics.table import TABLES, Metric, select
from cyclegan.networks.weights import WeightsMissingError, offline
from cyclegan.protocols import Translator

MAX_TRAINED = 1000  # training images of the target that are searched for copies
MAX_FITTED = 200  # training images of a side that baselines are fitted on
MAX_CYCLES = 50  # images that are translated there and back
SHEET = 8  # images that are shown next to the truth


class EvaluationOptions(NamedTuple):
    """Metrics, number and size of images, and more."""

    metrics: Sequence[str] | None = None  # names of metrics; None: all that the task has the images for
    limit: int | None = None  # test images, evenly spaced; None: all
    size: int | None = 256  # px of the longer side that larger images are reduced to; None: as they are
    fetch: bool = False  # download the weights that metrics lack
    device: torch.device = CPU  # of metrics and of methods that stylize
    remedies: Mapping[str, str] = {}  # failure mode -> what helps with the method


DEFAULT = EvaluationOptions()


def evaluate(
    candidates: Mapping[str, Candidate],
    task: Task,
    options: EvaluationOptions = DEFAULT,
    inverses: Mapping[str, Translator] | None = None,
) -> Results:
    """Measure candidates, by the names of their rows, together with baselines.

    candidates  Translators; methods that stylize after the examples of the task; or finished translations by
                source.
    inverses    Row -> translator back to the source, for cycle errors.

    Raises UserError for an unknown metric, a source without translation, or sizes that differ.
    """
    metrics = select(options.metrics)
    chosen = choose(task, options.limit)
    for name, candidate in candidates.items():
        require_translations(name, candidate, chosen.task)
    return _Evaluation(chosen, options, metrics).run(candidates, inverses or {})


class _Evaluation:
    """Task with its images, and the metrics that can be measured on it."""

    def __init__(self, chosen: Chosen, options: EvaluationOptions, metrics: Mapping[str, Metric]) -> None:
        self.chosen = chosen
        self.task = task = chosen.task
        if not task.sources:
            raise UserError(f"{task.name}: there are no test images to evaluate on; check the test folders of the data")
        self.options = options
        self.pairs = Pairs(task) if task.truths else None
        trained = subsample(task.fit[1], MAX_TRAINED)
        self.data = EvaluationData(
            self._read(task.sources), self._read(task.references), self._read(trained), options.device
        )
        self.digests = digest(self.data.sources), digest(self.data.references)
        self.not_run: dict[str, str] = {}
        self.metrics = self._measurable(metrics)

    def run(self, candidates: Mapping[str, Candidate], inverses: Mapping[str, Translator]) -> Results:
        """Measure all rows."""
        fit = [subsample(paths, MAX_FITTED) for paths in self.task.fit]
        baselines = fit_baselines(*fit) if all(fit) else {}
        named: dict[str, Candidate] = {IDENTITY: Identity(), **baselines, **candidates}
        pictures = {name: self._translate(candidate) for name, candidate in named.items()}
        rows = {
            name: self._numbers_beside_truth(name, candidate, pictures[name]) | self._numbers(pictures[name])
            for name, candidate in named.items()
        }
        for name in self.metrics:
            require_comparable(name, [numbers[name] for numbers in rows.values() if name in numbers])
        shown = next(iter(candidates), IDENTITY)
        return Results(
            metrics=self.metrics,
            rows={**self._reference(), **rows, **self._rows_beside_truth()},
            failures={name: self._failures(rows[name]) for name in candidates},
            not_run=self.not_run,
            pictures={
                "source": self.data.sources,
                **{name: pictures[name] for name in [*baselines, *candidates, shown]},
            },
            captions=[path.stem for path in self.task.sources],
            shown=shown,
            truths=self._shown_truths(),
            baseline=next(reversed(baselines), IDENTITY),
            references=len(self.data.references),
            border=self.task.border,
            cycles={name: self._cycles(candidates[name], inverse) for name, inverse in inverses.items()},
            duplicates=self.chosen.duplicates,
            kept_duplicates=self.chosen.kept_duplicates,
        )

    def _read(self, paths: Sequence[Path]) -> list[Picture]:
        return [reduced(read_picture(path), self.options.size) for path in paths]

    def _measurable(self, metrics: Mapping[str, Metric]) -> dict[str, Metric]:
        """Select the metrics that the task has images for.

        Metrics whose weights are missing are recorded as not run.
        """
        images = {"truth": self.task.truths, "references": self.task.references}
        found = {}
        for name, metric in metrics.items():
            if not images.get(metric.needs, self.task.sources):
                continue
            try:
                found[name] = self._resolve(metric)
            except WeightsMissingError as error:
                self.not_run[name] = f"{error}; --fetch downloads them"
        return found

    def _resolve(self, metric: Metric) -> Metric:
        if self.options.fetch:
            return metric.resolved(self.data)
        with offline():
            return metric.resolved(self.data)

    def _translate(self, candidate: Candidate) -> Pictures:
        if isinstance(candidate, Identity):
            return self.data.sources
        options, indices = self.options, range(len(self.task.sources))
        return [translate_source(candidate, self.task, i, options.size, options.device) for i in indices]

    def _numbers(self, pictures: Pictures, tables: Sequence[str] = TABLES[1:]) -> dict[str, Number]:
        """Measure reduced images."""
        metrics = {name: metric for name, metric in self.metrics.items() if metric.table in tables}
        return {
            name: self._number(name, self._measure(metric, pictures), len(pictures)) for name, metric in metrics.items()
        }

    def _measure(self, metric: Metric, pictures: Pictures) -> Raw:
        if metric.measure:
            return metric.measure(pictures, self.data)
        assert metric.score
        return np.array([metric.score(*pair) for pair in zip(pictures, self.data.sources, strict=True)])

    def _number(self, name: str, raw: Raw, count: int) -> Number:
        metric = self.metrics[name]
        with_references = metric.table in ("realism", "optimized")
        return number(
            raw,
            metric=f"{name}: {metric.how}",
            translated=count,
            sources=self.digests[0],
            reference=len(self.data.references) if with_references else 0,
            references=self.digests[1] if with_references else "none",
            extractor=metric.network,
            resize=metric.resize,
        )

    def _numbers_beside_truth(self, name: str, candidate: Candidate, pictures: Pictures = ()) -> dict[str, Number]:
        """Measure translations at full size; finished ones that are smaller are skipped, with a note."""
        metrics = {key: metric for key, metric in self.metrics.items() if metric.table == "truth"}
        if self.pairs is None or not metrics:
            return {}
        try:
            return self.pairs.numbers(self._at_full_size(candidate, pictures), metrics)
        except OtherSizeError as error:
            if not isinstance(candidate, Mapping):
                raise
            self.not_run |= {key: f"{name}: {error}" for key in metrics}
            return {}

    def _at_full_size(self, candidate: Candidate, pictures: Pictures) -> Iterator[Picture]:
        """Return translations at full size; one that was not reduced is reused."""
        for i, source in enumerate(self.task.sources):
            if isinstance(candidate, Mapping):
                found = candidate[source]
                yield read_picture(found) if isinstance(found, Path) else found
            elif pictures and read_picture(source).shape == pictures[i].shape:
                yield pictures[i]
            else:
                yield translate_source(candidate, self.task, i, None, self.options.device)

    def _reference(self) -> dict[str, dict[str, Number]]:
        """Measure the row of real images that were not trained on, if there are some."""
        metrics = [metric for metric in self.metrics.values() if metric.table == "realism"]
        held_out = self._read(self.task.held_out) if metrics else []
        return {REFERENCE: self._numbers(held_out, ["realism"])} if held_out else {}

    def _rows_beside_truth(self) -> dict[str, dict[str, Number]]:
        """Measure the mean target and the oracles, if the truth is known and asked for."""
        if self.pairs is None or not any(metric.table == "truth" for metric in self.metrics.values()):
            return {}
        targets = subsample(self.task.fit[1], MAX_FITTED)
        rows: dict[str, Translator] = {"mean target": fit_mean_target(targets)} if targets else {}
        rows |= fit_oracles(self.task.sources, self.task.truths, self.task.border)
        return {name: self._numbers_beside_truth(name, translator) for name, translator in rows.items()}

    def _failures(self, row: Mapping[str, Number]) -> dict[str, str]:
        return failures({name: found.value for name, found in row.items()}, self.options.remedies)

    def _shown_truths(self) -> dict[int, Picture]:
        """Return some truths by the position of their sources, evenly spaced."""
        positions = subsample(range(len(self.task.truths)), SHEET)
        return dict(zip(positions, self._read([self.task.truths[i] for i in positions]), strict=True))

    def _cycles(self, candidate: Candidate, inverse: Translator) -> list[Cycle]:
        assert isinstance(candidate, Translator)
        sources = subsample(self.data.sources, MAX_CYCLES)
        return [cycle(candidate, inverse, source, self.options.device) for source in sources]
