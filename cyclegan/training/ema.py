"""Exponential moving average of weights: what is sampled, evaluated and released.

w̄ ← d w̄ + (1 − d) w after each step, with d = min(decay, (1 + t) / (10 + t)) at update t = 0, 1, …: the warm-up
keeps the random first weights from lingering for 1 / (1 − decay) steps. The running statistics of batch norms are
averaged alike, as they are those of weights that are; what is counted is copied.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class EMA:
    """The averages of all weights of some networks, and of their statistics."""

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.live = {f"{name}.{key}": value for name, net in networks.items() for key, value in _weights(net).items()}
        self.average = {key: value.detach().clone() for key, value in self.live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = [(average, self.live[key].detach()) for key, average in self.average.items()]
        averages, lives = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, lives, 1 - decay)
        for average, live in pairs:
            if not average.is_floating_point():
                average.copy_(live)
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this context the networks carry the averages; afterwards their own weights again, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for key, live in self.live.items():
            live.data, self.average[key] = self.average[key], live.data

    def state_dict(self) -> dict[str, Any]:
        """The averages and how many updates made them."""
        return {"updates": self.updates, "average": dict(self.average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        self.updates = state["updates"]
        for key, value in state["average"].items():
            self.average[key].copy_(value)


def _weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """With the buffers that belong to them."""
    return network.state_dict(keep_vars=True)
