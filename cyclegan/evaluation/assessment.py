"""Translators on the same pictures, by every metric of the suite: one table for each question, with floor and ceiling.

Floor      real targets that nobody trained on, as if they were translations: what nobody can beat but by chance.
Ceiling    the sources, untranslated: what doing nothing reaches. Behind a realism stands how much of the way from the
           ceiling to the floor was gone.
Order      of the rows is that of the candidates: nothing is ranked here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cyclegan.evaluation.bootstrap import CONFIDENCE
from cyclegan.evaluation.instruments import Column, Pictures
from cyclegan.evaluation.protocol import Number, require_comparable
from cyclegan.evaluation.suite import Suite
from cyclegan.metrics.symptoms import failures

FLOOR, CEILING = "real targets (floor)", "sources (ceiling)"
QUESTIONS = {
    "realism": "Does it look like the target?",
    "content": "Is the content kept?",
    "symptoms": "What ails it?",
    "optimized": "What Gatys and AdaIN minimize: not to rank by",
}
HEADLINES = ("kid-inception", "kid-squeezenet", "patch-swd")  # the first that was run stands for realism in a plot
KEPT = ("ms-ssim", "ssim")  # likewise for content


@dataclass(frozen=True, kw_only=True, eq=False)
class Assessment:
    """Numbers by row and column."""

    columns: Mapping[str, Column]
    rows: Mapping[str, Mapping[str, Number]]  # floor and ceiling first
    alarms: Mapping[str, Mapping[str, str]]  # row -> title -> what it means and what helps
    not_run: Mapping[str, str]  # metric -> why
    sources: int
    references: int

    def table(self, question: str) -> list[list[str]]:
        """The head and a row for each translator, as text; nothing where nothing was asked."""
        names = [name for name, column in self.columns.items() if column.question == question]
        if not names:
            return []
        head = ["", *(f"{self.columns[name].title}{_ARROWS[self.columns[name].better]}" for name in names)]
        rows = {row: numbers for row, numbers in self.rows.items() if any(name in numbers for name in names)}
        return [head, *([row, *(self._cell(numbers, name) for name in names)] for row, numbers in rows.items())]

    def tables(self) -> dict[str, list[list[str]]]:
        """By question, in words; those with columns."""
        return {said: table for question, said in QUESTIONS.items() if (table := self.table(question))}

    def notes(self) -> list[str]:
        """How the columns were measured."""
        said = [f"{self.sources:,} images, each translated once; compared with {self.references:,} real targets."]
        said += [
            f"{column.title}: {column.how}."
            + (f" Network {column.network}." if column.network != "none" else "")
            + (f" Pictures {column.resize}." if column.resize != "none" else "")
            for column in self.columns.values()
            if column.question != "symptoms"
        ]
        return [*said, f"[in brackets]: where it lies with {CONFIDENCE} %."]

    def gaps(self) -> list[str]:
        """What was not run, and why."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.not_run.items():
            reasons.setdefault(why, []).append(name)
        return [f"Not run: {', '.join(names)}: {why}; --fetch downloads them." for why, names in reasons.items()]

    def values(self, row: str, questions: Sequence[str]) -> dict[str, float]:
        """What a row reached in the columns of these questions."""
        return {name: n.value for name, n in self.rows[row].items() if self.columns[name].question in questions}

    def heard(self) -> list[str]:
        """A sentence for each alarm."""
        return [f"{row}: {title}: {said}" for row, raised in self.alarms.items() for title, said in raised.items()]

    def points(self) -> tuple[str, str, dict[str, tuple[float, float]]]:
        """(title of x: content kept, title of y: realism, both for each row that has them)."""
        x, y = (next((name for name in names if name in self.columns), "") for names in (KEPT, HEADLINES))
        if not x or not y:
            return "", "", {}
        found = {row: (n[x].value, n[y].value) for row, n in self.rows.items() if x in n and y in n}
        return self.columns[x].title, self.columns[y].title, found

    def extremes(self, row: str, count: int = 3) -> tuple[str, list[int], list[int]]:
        """(by which metric, the images of a row that keep least of their content, those that keep most)."""
        name = next((name for name in KEPT if name in self.columns), "")
        values = self.rows[row][name].per_image if name else None
        if values is None:
            return "", [], []
        order = np.argsort(values, kind="stable")
        shown = min(count, len(order) // 2)
        return self.columns[name].title, order[:shown].tolist(), order[::-1][:shown].tolist()

    def as_json(self) -> dict[str, Any]:
        """Every number unrounded, with its interval and the id of its protocol; the protocols once, by id."""
        numbers = [number for row in self.rows.values() for number in row.values()]
        return {
            "protocols": {number.protocol.id: asdict(number.protocol) for number in numbers},
            "columns": {name: {"title": c.title, "better": c.better} for name, c in self.columns.items()},
            "rows": {row: {name: _numbers(n) for name, n in found.items()} for row, found in self.rows.items()},
            "alarms": {row: dict(raised) for row, raised in self.alarms.items() if raised},
            "not_run": dict(self.not_run),
        }

    def _cell(self, numbers: Mapping[str, Number], name: str) -> str:
        if name not in numbers:
            return "–"
        number, digits = numbers[name], self.columns[name].digits
        text = f"{number.value:.{digits}f}"
        if number.low is not None and number.high is not None:
            text += f" [{number.low:.{digits}f}, {number.high:.{digits}f}]"
        way = self._way(number, name)
        return text if way is None else f"{text} {way:.0%}"

    def _way(self, number: Number, name: str) -> float | None:
        """How much of the way from the ceiling to the floor; the way itself must be clear."""
        if name not in HEADLINES:
            return None
        ceiling, floor = (self.rows.get(row, {}).get(name) for row in (CEILING, FLOOR))
        if ceiling is None or floor is None or number in (ceiling, floor) or ceiling.value <= floor.value:
            return None
        return (ceiling.value - number.value) / (ceiling.value - floor.value)


_ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}


def assess(suite: Suite, candidates: Mapping[str, Pictures], held_out: Pictures = ()) -> Assessment:
    """Measure the translations of every candidate; `held_out` are real targets that are in no training set."""
    rows: dict[str, Mapping[str, Number]] = {}
    if held_out and suite.references:
        rows[FLOOR] = suite.measure_set(held_out)
    rows[CEILING] = suite.measure(suite.sources)
    found = {name: suite.measure(pictures) for name, pictures in candidates.items()}
    for column in suite.columns:
        require_comparable(column, [numbers[column] for numbers in found.values()])
    symptoms = {row: {name: number.value for name, number in numbers.items()} for row, numbers in found.items()}
    return Assessment(
        columns=suite.columns,
        rows=rows | found,
        alarms={row: failures(numbers, {}) for row, numbers in symptoms.items()},
        not_run=suite.not_run,
        sources=len(suite.sources),
        references=len(suite.references),
    )


def _numbers(number: Number) -> dict[str, Any]:
    found = {"value": number.value, "low": number.low, "high": number.high, "protocol": number.protocol.id}
    return found if number.per_image is None else found | {"per_image": number.per_image.round(5).tolist()}


def in_markdown(tables: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """One table below the other, each under its question."""
    return "\n\n".join(f"### {question}\n\n{as_markdown(table)}" for question, table in tables.items())


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table: the first row is its head, the first column the names."""
    head, *body = ([cell.replace("|", "\\|").replace("*", "\\*") for cell in row] for row in rows)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
