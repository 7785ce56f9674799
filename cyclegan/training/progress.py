"""How far a run has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """The number of steps done; all else follows from it."""

    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """The counter."""
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        self.step = state["step"]
