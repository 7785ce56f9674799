"""Times variants of one computation in turn, A B C A B C …, and marks what other processes have disturbed.

Ratio      of a round: seconds of the first variant / seconds of this one, measured one after the other, so that what
           slows the whole machine down cancels. Given are the median over the rounds and the quartiles.
Quiet      a sample during which other processes used at most 5 % of the cores: /proc/stat has the time of all, the
           system that of this process and its workers. Rounds in which the first variant or this one was disturbed are
           set aside while three others remain; else all count, and the row says that the machine was busy.
Sample     enough calls for a fifth of a second, given as seconds of one call; the device has finished at both ends.
Memory     what the second call adds at its peak to what was in use: on the CPU to the resident memory of this process.
Share      FLOPs over seconds, as a share of the most that the device gives in the same precision (peaks.py).
"""

import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import active_children
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from peaks import fastest, finish

from cyclegan.evaluation.timing import peak

STAT = Path("/proc/stat")
BUSY = 0.05  # of all cores, used by other processes
ENOUGH = 3  # quiet rounds
LEAST = 0.2  # seconds of a sample: the system counts in hundredths


class Reading(NamedTuple):
    """What the clocks say at one moment, in seconds."""

    wall: float
    own: float  # of processor time, over all cores
    busy: float | None  # of processor time of all processes; None where the system does not tell
    cores: float | None  # the same and what was idle


class Sample(NamedTuple):
    """One measurement."""

    seconds: float  # of one call
    others: float | None  # share of the cores that other processes used meanwhile

    @property
    def quiet(self) -> bool:
        """Nothing is known against it."""
        return self.others is None or self.others <= BUSY


@dataclass(frozen=True)
class Variant:
    """One way to compute, and how well its result agrees with that of the first: numbers by name."""

    name: str
    call: Callable[[], object]
    agreement: Mapping[str, float] = field(default_factory=dict)
    count: int = 1  # of the things in question that a call does
    flops: int = 0  # of one of them, where that is known
    dtype: torch.dtype = torch.float32  # that it computes in


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found for a variant."""

    variant: str
    seconds: float  # the median
    ratio: float  # the median, and the quartiles
    low: float
    high: float
    rounds: int  # that count
    quiet: bool | None  # None: nobody could watch the other processes
    agreement: Mapping[str, float]
    memory: int | None = None  # bytes at the peak; None: nobody knows
    flops: int = 0
    share: float | None = None  # of the device's peak


@dataclass(frozen=True, kw_only=True)
class Table:
    """Variants of one computation."""

    title: str
    weights: str  # which ones the networks had
    rows: Sequence[Row]

    def as_data(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Table":
        """The inverse of as_data."""
        return cls(**{**data, "rows": [Row(**row) for row in data["rows"]]})


def read_clocks() -> Reading:
    """What they say now."""
    times = os.times()
    try:
        ticks = [int(number) for number in STAT.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return Reading(perf_counter(), times.user + times.system, None, None)
    idle = ticks[3] + ticks[4]  # waiting for a disk is idle, too
    second = os.sysconf("SC_CLK_TCK")
    own = times.user + times.system + sum(_ticks(child.pid) for child in active_children()) / second
    return Reading(perf_counter(), own, (sum(ticks) - idle) / second, sum(ticks) / second)


def _ticks(process: int | None) -> int:
    """Of a worker process, which is one of our own."""
    try:
        return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))
    except OSError:  # it has just ended
        return 0


def between(before: Reading, after: Reading, calls: int = 1) -> Sample:
    """What happened between two readings."""
    seconds = (after.wall - before.wall) / calls
    if None in (*before, *after) or after.cores == before.cores:
        return Sample(seconds, None)
    busy, own, cores = (after[i] - before[i] for i in (2, 1, 3))  # type: ignore[operator]
    return Sample(seconds, max(0.0, busy - own) / cores)


def measure(
    variants: Sequence[Variant],
    rounds: int,
    device: torch.device,
    *,
    least: float = LEAST,
    read: Callable[[], Reading] = read_clocks,
) -> list[Row]:
    """Every variant in every round, after two calls of each to warm up; the first is the one to compare with."""

    def sample(variant: Variant, calls: int) -> Sample:
        finish(device)
        before = read()
        for _ in range(calls):
            variant.call()
        finish(device)
        return between(before, read(), calls * variant.count)

    expected: list[float] = []
    memory = []
    for variant in variants:
        variant.call()
    for variant in variants:
        memory.append(peak(lambda v=variant: expected.append(sample(v, 1).seconds * v.count), device))
    calls = [max(1, math.ceil(least / seconds)) for seconds in expected]
    taken = [[sample(*pair) for pair in zip(variants, calls, strict=True)] for _ in range(rounds)]
    columns = list(zip(*taken, strict=True))
    rows = [row(variant, columns[0], column) for variant, column in zip(variants, columns, strict=True)]
    limits = [fastest(variant.dtype, device) if variant.flops else None for variant in variants]
    return [
        replace(found, memory=used, share=limit and found.flops / found.seconds / limit)
        for found, used, limit in zip(rows, memory, limits, strict=True)
    ]


def row(variant: Variant, plain: Sequence[Sample], own: Sequence[Sample]) -> Row:
    """Medians and quartiles over the rounds that count."""
    pairs = list(zip(plain, own, strict=True))
    undisturbed = [pair for pair in pairs if all(sample.quiet for sample in pair)]
    enough = len(undisturbed) >= ENOUGH
    counted = undisturbed if enough else pairs
    with_callback = all(sample.others is not None for pair in counted for sample in pair)
    low, ratio, high = quartiles([one.seconds / other.seconds for one, other in counted])
    return Row(
        variant=variant.name,
        seconds=statistics.median(other.seconds for _, other in counted),
        ratio=ratio,
        low=low,
        high=high,
        rounds=len(counted),
        quiet=enough if with_callback else None,
        agreement=variant.agreement,
        flops=variant.flops,
    )


def quartiles(numbers: Sequence[float]) -> tuple[float, float, float]:
    """The median in the middle; of a single number, three times itself."""
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def markdown(table: Table) -> str:
    """A heading, the table and a word on its weights."""
    lines = [
        f"### {table.title}",
        "",
        f"Weights: {table.weights}.",
        "",
        "| variant | seconds | ratio | quartiles | rounds | MB | GFLOP | of the peak | agreement |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for found in table.rows:
        agreement = ", ".join(f"{name} {value:.4g}" for name, value in found.agreement.items()) or "is compared with"
        cells = [
            found.variant,
            f"{found.seconds:.4g}",
            f"{found.ratio:.2f}",
            f"{found.low:.2f} to {found.high:.2f}",
            f"{found.rounds} {condition(found.quiet)}",
            "–" if found.memory is None else f"{found.memory / 1e6:,.0f}",
            f"{found.flops / 1e9:,.1f}" if found.flops else "–",
            "–" if found.share is None else f"{found.share:.0%}",
            agreement,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def condition(quiet: bool | None) -> str:
    """Of the machine."""
    return {True: "quiet", False: "**busy**", None: "unwatched"}[quiet]
