"""Count of the steps that a run has done."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cyclegan.errors import NotFiniteError


@dataclass
class Progress:
    """Number of steps done; everything else follows from it."""

    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the counter."""
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict returned."""
        self.step = state["step"]

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Context that adds the number of steps done to the message of a NotFiniteError."""
        try:
            yield
        except NotFiniteError as error:
            raise NotFiniteError(f"after step {self.step:,}: {error}") from error
