"""Faults made on purpose. `make faults` prints a line for each, with its figure: see docs/reliability.md."""

import os
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NIGHTLY = os.environ.get("CYCLEGAN_FAULTS") == "nightly"


@pytest.fixture(scope="session")
def size() -> Callable[[int, int], int]:
    """How often a fault is tried: a smaller number for every change, a larger one for `make faults`."""
    return lambda change, nightly: nightly if NIGHTLY else change


@pytest.fixture
def figure(request) -> Callable[[str, str], None]:
    """`figure("K1", "50 kills, 0 lost runs")`: what this test has measured, to be printed after its identifier."""
    return lambda name, said: request.node.user_properties.append(("figure", (name, said)))


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Sets the size that a file of this process may have; it is lifted in the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line a figure, in the order of the identifiers; a test that failed before it had one is listed by pytest."""
    lines = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            figures = [value for key, value in report.user_properties if key == "figure"]
            lines += [(name, outcome, said, report.duration) for name, said in figures if report.when == "call"]
    if lines:
        terminalreporter.section("faults")
    for name, outcome, said, seconds in sorted(lines):
        terminalreporter.line(f"{name:<4} {outcome}  {said}  ({seconds:.0f} s)")
