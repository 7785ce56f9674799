"""What training asks of whoever judges it: it knows no metric itself, and keeps the best weights by the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from cyclegan.protocols import Preview
from cyclegan.training.atomic import replacing
from cyclegan.training.checkpoint import write_release

PATIENCE = 2  # looks in a row at which something must be wrong before it is said


class Verdict(NamedTuple):
    """How a run does, by its averaged networks."""

    symptoms: Mapping[str, float]  # name -> number, beside those of the method
    alarms: Mapping[str, str]  # symptom -> what it means and what helps
    validation: Mapping[str, float]  # name -> distance from the targets that were kept aside; the sum chooses the best


@runtime_checkable
class Judge(Protocol):
    """Looks at a run every so many steps."""

    def __call__(self, preview: Preview) -> Verdict:
        """While the networks carry their averages."""
        ...


@dataclass
class Best:
    """The averaged networks that have validated best so far, as a released file."""

    path: Path
    release: Mapping[str, Tensor]
    about: Mapping[str, Any]
    distance: float | None = None
    step: int = 0

    def offer(self, validation: Mapping[str, float], step: int) -> bool:
        """Keep the present averages if they are better than all before; says whether they are."""
        distance = sum(validation.values())
        if not validation or (self.distance is not None and distance >= self.distance):
            return False
        self.distance, self.step = distance, step
        with replacing(self.path) as partial:
            write_release(partial, self.release, {**self.about, "step": step, "validation": dict(validation)})
        return True

    def state_dict(self) -> dict[str, Any]:
        """How good they were, and when."""
        return {"distance": self.distance, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        self.distance, self.step = state["distance"], state["step"]


@dataclass
class Alarms:
    """Says what is wrong when it has been wrong for a while, and once."""

    since: dict[str, list[int]] = field(default_factory=dict)  # symptom -> the looks in a row that showed it

    def heard(self, alarms: Mapping[str, str], step: int) -> Sequence[str]:
        """The sentences to say at this look."""
        self.since = {name: [*self.since.get(name, []), step] for name in alarms}
        due = [name for name, steps in self.since.items() if len(steps) == PATIENCE]
        return [f"{name}, since step {self.since[name][0]:,}: {alarms[name]}" for name in due]
