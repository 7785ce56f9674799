"""Results of an evaluation: numbers by row and metric, as tables, notes and JSON, without any ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cyclegan.evaluation.bootstrap import CONFIDENCE, Estimate, bootstrap
from cyclegan.evaluation.measurement_id import Number
from cyclegan.metrics.cycle import CYCLE_PROTOCOL, PERTURBATIONS, Cycle
from cyclegan.metrics.evaluation_data import Picture, Pictures
from cyclegan.metrics.table import Metric

REFERENCE, IDENTITY = "reference", "identity"  # rows: real images of the target; the sources as they are
TITLES = {
    "truth": "Is it the right translation?",
    "realism": "Does it look like the target?",
    "content": "Is the content kept?",
    "failure modes": "Does it fail?",
    "optimized": "What Gatys and AdaIN minimize: not to rank by",
}
CYCLE_TITLE = "Does it come back?"
HEADLINES = (
    "kid-inception",
    "kid-squeezenet",
    "patch-swd",
)  # the first that was measured stands for realism in a plot
KEPT = ("ms-ssim", "ssim-source")  # … and for content
ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}

TRUTH_NOTE = (
    "Compared with the truth at full size, without {border} pixels of border. Rows marked * were fitted on "
    "these very pairs."
)
ROWS_NOTE = (
    f"[in brackets]: {CONFIDENCE} % interval. {REFERENCE}: real images of the target that were not trained on. "
    f"{IDENTITY}: the sources as they are."
)
KEPT_NOTE = (
    "test images are nearly training images, and their side has no others: these numbers tell how well the "
    "training images are remembered."
)

TextTable = list[list[str]]  # the first row is the head, the first column the names


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Numbers of all rows on one task, with their images."""

    metrics: Mapping[str, Metric]  # as measured
    rows: Mapping[str, Mapping[str, Number]]
    failures: Mapping[str, Mapping[str, str]]  # row -> failure mode -> what it means and what helps
    not_run: Mapping[str, str]  # metric -> why
    pictures: Mapping[str, Pictures]  # "source" and row -> images, reduced
    captions: Sequence[str]  # names of the sources
    shown: str  # row whose best and worst images are shown
    truths: Mapping[int, Picture] = field(default_factory=dict)  # some, by the position of their source
    baseline: str = IDENTITY  # row that differences are measured from
    references: int = 0  # images
    border: int = 0  # px that are not compared with the truth
    cycles: Mapping[str, Sequence[Cycle]] = field(default_factory=dict)  # row -> one for each image
    duplicates: int = 0  # test images left out, as they are nearly training images
    kept_duplicates: int = 0  # … and kept, as their side has no others

    def table(self, name: str) -> TextTable:
        """Return the head and one row for each translator with numbers in a table; empty without metrics."""
        names = [key for key, metric in self.metrics.items() if metric.table == name]
        if not names:
            return []
        head = ["", *(f"{self.metrics[key].title}{ARROWS[self.metrics[key].better]}" for key in names)]
        rows = {row: numbers for row, numbers in self.rows.items() if any(key in numbers for key in names)}
        return [head, *([row, *(self._cell(numbers, key) for key in names)] for row, numbers in rows.items())]

    def tables(self) -> dict[str, TextTable]:
        """Return all tables that have metrics, by title."""
        found = {title: table for name, title in TITLES.items() if (table := self.table(name))}
        return found | ({CYCLE_TITLE: _cycle_table(self.cycles)} if self.cycles else {})

    def values(self, row: str, tables: Sequence[str]) -> dict[str, float]:
        """Return the values of a row in some tables, by metric."""
        numbers = self.rows[row].items()
        return {name: number.value for name, number in numbers if self.metrics[name].table in tables}

    def messages(self) -> list[str]:
        """Return one sentence for each failure mode that was found."""
        return [f"{row}: {mode}: {text}" for row, found in self.failures.items() for mode, text in found.items()]

    def not_run_lines(self) -> list[str]:
        """Return one sentence for each reason why metrics were not run."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.not_run.items():
            reasons.setdefault(why, []).append(name)
        return [f"Not run: {', '.join(names)}: {why}." for why, names in reasons.items()]

    def notes(self) -> list[str]:
        """Describe in sentences how everything was measured."""
        count, left_out, kept = len(self.captions), self.duplicates, self.kept_duplicates
        metrics = [_note(metric) for metric in self.metrics.values() if metric.table != "failure modes"]
        cycle = f"{CYCLE_TITLE} {CYCLE_PROTOCOL}."
        notes = [
            f"{count:,} images, each translated once; compared with {self.references:,} real ones of the target.",
            self.table("truth") and TRUTH_NOTE.format(border=self.border),
            *metrics,
            ROWS_NOTE,
            left_out and f"{left_out} test images that are nearly training images were left out.",
            kept and f"{kept} {KEPT_NOTE}",
            self.cycles and cycle,
        ]
        return [str(note) for note in notes if note]

    def points(self) -> tuple[str, str, dict[str, tuple[float, float]]]:
        """Return (title of x: content kept, title of y: realism, both values for each row that has them)."""
        x, y = (next((name for name in names if name in self.metrics), "") for names in (KEPT, HEADLINES))
        if not x or not y:
            return "", "", {}
        found = {row: (n[x].value, n[y].value) for row, n in self.rows.items() if x in n and y in n}
        return self.metrics[x].title, self.metrics[y].title, found

    def best_and_worst(self, row: str, count: int = 3) -> tuple[str, list[int], list[int]]:
        """Return (metric, images of a row that keep the most content, images that keep the least)."""
        name = next((name for name in KEPT if name in self.metrics), "")
        values = self.rows[row][name].per_image if name else None
        if values is None:
            return "", [], []
        order = np.argsort(values, kind="stable")
        shown = min(count, len(order) // 2)
        return self.metrics[name].title, order[::-1][:shown].tolist(), order[:shown].tolist()

    def sheet(self) -> dict[str, Pictures]:
        """Return the columns source, translation and truth of some images; empty if the truth is unknown."""
        columns = {"source": self.pictures["source"], "translation": self.pictures[self.shown]}
        shown = {name: [pictures[i] for i in self.truths] for name, pictures in columns.items()}
        return {**shown, "truth": list(self.truths.values())} if self.truths else {}

    def as_json(self) -> dict[str, Any]:
        """Return every number unrounded, with its interval and the id of its measurement.

        Each measurement is listed once, by id.
        """
        numbers = [number for row in self.rows.values() for number in row.values()]
        return {
            "images": list(self.captions),
            "baseline": self.baseline,
            "measurements": {number.measurement.id: asdict(number.measurement) for number in numbers},
            "metrics": {
                name: {"title": metric.title, "better": metric.better, "table": metric.table}
                for name, metric in self.metrics.items()
            },
            "rows": {row: self._row(row) for row in self.rows},
            "failures": {row: dict(found) for row, found in self.failures.items() if found},
            "not_run": dict(self.not_run),
            "cycle": {row: _cycle_json(found) for row, found in self.cycles.items()},
            "near_duplicates": self.duplicates,
        }

    def difference(self, row: str, name: str) -> Estimate:
        """Compute the mean difference of a row from the baseline, with its interval.

        The metric must have one value for each image; differences are taken image by image.
        """
        values = [self.rows[each][name].per_image for each in (row, self.baseline)]
        return bootstrap(values[0] - values[1])  # type: ignore[operator]

    def _row(self, row: str) -> dict[str, dict[str, Any]]:
        """Return the numbers of a row by metric.

        Metrics of the truth include the difference from the baseline.
        """
        found = {name: _number_json(number) for name, number in self.rows[row].items()}
        of_truth = [name for name in found if self.metrics[name].table == "truth"]
        for name in of_truth:
            found[name]["difference"] = self.difference(row, name)._asdict()
        return found

    def _cell(self, numbers: Mapping[str, Number], name: str) -> str:
        if name not in numbers:
            return "–"
        number, digits = numbers[name], self.metrics[name].digits
        text = f"{number.value:.{digits}f}"
        if number.low is not None and number.high is not None:
            text += f" [{number.low:.{digits}f}, {number.high:.{digits}f}]"
        share = self._share(number, name)
        return text if share is None else f"{text} {share:.0%}"

    def _share(self, number: Number, name: str) -> float | None:
        """Compute the share of the distance from identity to reference, for headline metrics only."""
        if name not in HEADLINES:
            return None
        start, end = (self.rows.get(row, {}).get(name) for row in (IDENTITY, REFERENCE))
        if start is None or end is None or number in (start, end) or start.value <= end.value:
            return None
        return (start.value - number.value) / (start.value - end.value)


def _number_json(number: Number) -> dict[str, Any]:
    found = {
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "measurement": number.measurement.id,
    }
    return found if number.per_image is None else found | {"per_image": number.per_image.round(5).tolist()}


def _note(metric: Metric) -> str:
    network = f" Network {metric.network}." if metric.network != "none" else ""
    resize = f" Images resized {metric.resize}." if metric.resize != "none" else ""
    return f"{metric.title}: {metric.how}.{network}{resize}"


def _cycle_table(cycles: Mapping[str, Sequence[Cycle]]) -> TextTable:
    head = ["", *(f"error {name}, levels" for name in PERTURBATIONS), "PSNR clean, dB", "PSNR JPEG-90, dB"]
    rows = []
    for row, found in cycles.items():
        errors = [_interval([cycle.error[name] for cycle in found]) for name in PERTURBATIONS]
        signals = [_interval([cycle.psnr[name] for cycle in found]) for name in ("clean", "JPEG-90")]
        ratio = np.mean([cycle.perturbation_ratio for cycle in found])
        rows.append([row, *errors, *signals, f"{ratio:.2f}"])
    return [[*head, "perturbation ratio"], *rows]


def _interval(values: Sequence[float]) -> str:
    estimate = bootstrap(np.array(values))
    return f"{estimate.mean:.1f} [{estimate.low:.1f}, {estimate.high:.1f}]"


def _cycle_json(found: Sequence[Cycle]) -> dict[str, Any]:
    means = {
        key: {name: float(np.mean([getattr(cycle, key)[name] for cycle in found])) for name in PERTURBATIONS}
        for key in ("error", "psnr")
    }
    return {**means, "perturbation_ratio": float(np.mean([cycle.perturbation_ratio for cycle in found]))}
