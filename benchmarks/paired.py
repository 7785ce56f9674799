"""Times variants of one computation in turn, A B C A B C …, and marks what other processes have disturbed.

Ratio      of a round: seconds of the first variant / seconds of this one, measured one after the other, so that what
           slows the whole machine down cancels. Given are the median over the rounds and the quartiles.
Quiet      a sample during which other processes used at most 5 % of the cores: /proc/stat has the time of all, the
           system that of this process. Rounds in which the first variant or this one was disturbed are set aside while
           three others remain; else all count, and the row says that the machine was busy.
Sample     enough calls for a fifth of a second, given as seconds of one call; the device has finished at both ends.
"""

import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

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


@dataclass(frozen=True, kw_only=True)
class Table:
    """Variants of one computation."""

    title: str
    weights: str  # which ones the networks had
    rows: Sequence[Row]

    def as_data(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


def read_clocks() -> Reading:
    """What they say now."""
    times = os.times()
    try:
        ticks = [int(number) for number in STAT.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return Reading(perf_counter(), times.user + times.system, None, None)
    idle = ticks[3] + ticks[4]  # waiting for a disk is idle, too
    second = os.sysconf("SC_CLK_TCK")
    return Reading(perf_counter(), times.user + times.system, (sum(ticks) - idle) / second, sum(ticks) / second)


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

    for variant in variants:
        variant.call()
    expected = [sample(variant, 1).seconds * variant.count for variant in variants]
    calls = [max(1, math.ceil(least / seconds)) for seconds in expected]
    taken = [[sample(*pair) for pair in zip(variants, calls, strict=True)] for _ in range(rounds)]
    columns = list(zip(*taken, strict=True))
    return [row(variant, columns[0], column) for variant, column in zip(variants, columns, strict=True)]


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was asked to."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def row(variant: Variant, plain: Sequence[Sample], own: Sequence[Sample]) -> Row:
    """Medians and quartiles over the rounds that count."""
    pairs = list(zip(plain, own, strict=True))
    undisturbed = [pair for pair in pairs if all(sample.quiet for sample in pair)]
    enough = len(undisturbed) >= ENOUGH
    counted = undisturbed if enough else pairs
    watched = all(sample.others is not None for pair in counted for sample in pair)
    low, ratio, high = quartiles([one.seconds / other.seconds for one, other in counted])
    return Row(
        variant=variant.name,
        seconds=statistics.median(other.seconds for _, other in counted),
        ratio=ratio,
        low=low,
        high=high,
        rounds=len(counted),
        quiet=enough if watched else None,
        agreement=variant.agreement,
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
        f"## {table.title}",
        "",
        f"Weights: {table.weights}.",
        "",
        "| variant | seconds | ratio | quartiles | rounds | agreement |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for found in table.rows:
        agreement = ", ".join(f"{name} {value:.4g}" for name, value in found.agreement.items()) or "is compared with"
        cells = [
            found.variant,
            f"{found.seconds:.4g}",
            f"{found.ratio:.2f}",
            f"{found.low:.2f} to {found.high:.2f}",
            f"{found.rounds} {condition(found.quiet)}",
            agreement,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def condition(quiet: bool | None) -> str:
    """Of the machine."""
    return {True: "quiet", False: "**busy**", None: "unwatched"}[quiet]
