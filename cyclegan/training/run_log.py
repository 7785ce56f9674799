"""Reading of a run's log.jsonl."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def training_hours(folder: Path) -> float | None:
    """Return the hours that the logged steps of a run took, without pauses; None where there is no log."""
    seconds, done = 0.0, 0
    for _, record in logged_records(folder / "log.jsonl"):
        seconds += (record["step"] - done) / record["speed"]["steps_per_second"]
        done = record["step"]
    return seconds / 3600 if done else None


def logged_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the lines of a log and their records, without lines that are incomplete or damaged."""
    for line in path.read_bytes().decode(errors="replace").split("\n") if path.exists() else []:
        try:
            record = json.loads(line)
            float(record["speed"]["steps_per_second"]), float(record["step"])
        except (ValueError, TypeError, LookupError, RecursionError):
            continue
        yield line, record
