"""Interface to the validation of a run, and its best weights; training itself knows no metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from cyclegan.protocols import Preview
from cyclegan.training.atomic import replacing
from cyclegan.training.checkpoint import write_release

PATIENCE = 2  # checks in a row that must find a failure mode before it is reported


class ValidationResult(NamedTuple):
    """Result of one check of a run, made with its averaged networks."""

    failure_modes: Mapping[str, float]  # name -> number, besides those of the method
    warnings: Mapping[str, str]  # failure mode -> what it means and what helps
    validation: Mapping[str, float]  # name -> distance from the targets that were kept aside; the sum chooses the best


@runtime_checkable
class Validates(Protocol):
    """Function that checks a run every so many steps."""

    def __call__(self, preview: Preview) -> ValidationResult:
        """Check the run; called while the networks carry their averaged weights."""
        ...


@dataclass
class Best:
    """Averaged networks with the best validation so far, as a released file."""

    path: Path
    release: Mapping[str, Tensor]
    about: Mapping[str, Any]
    distance: float | None = None
    step: int = 0

    def update(self, validation: Mapping[str, float], step: int) -> bool:
        """Keep the present averages if they validate better than all before; return True if they do."""
        distance = sum(validation.values())
        if not validation or (self.distance is not None and distance >= self.distance):
            return False
        self.distance, self.step = distance, step
        with replacing(self.path) as partial:
            write_release(partial, self.release, {**self.about, "step": step, "validation": dict(validation)})
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the best distance and its step."""
        return {"distance": self.distance, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict returned."""
        self.distance, self.step = state["distance"], state["step"]


@dataclass
class PersistentWarnings:
    """Warnings that have lasted for `PATIENCE` checks in a row, each reported once."""

    since: dict[str, list[int]] = field(default_factory=dict)  # failure mode -> steps of the checks that found it

    def due(self, warnings: Mapping[str, str], step: int) -> Sequence[str]:
        """Return the sentences to report at this check."""
        self.since = {name: [*self.since.get(name, []), step] for name in warnings}
        due = [name for name, steps in self.since.items() if len(steps) == PATIENCE]
        return [f"{name}, since step {self.since[name][0]:,}: {warnings[name]}" for name in due]
