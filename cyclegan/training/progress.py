"""How far a run has come."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cyclegan.errors import NotFiniteError


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

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Within this context a NotFiniteError says when it came."""
        try:
            yield
        except NotFiniteError as error:
            raise NotFiniteError(f"after step {self.step:,}: {error}") from error
