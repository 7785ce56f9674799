"""Exponential moving average of weights, which is used for samples, evaluation and releases.

w̄ ← d w̄ + (1 − d) w after each step, with d = min(decay, (1 + t) / (10 + t)) at update t = 0, 1, …: without
this warm-up the random first weights would affect the average for 1 / (1 − decay) steps. The running
statistics of batch norms are averaged alike, because the weights they belong to are averaged; integer
counters are copied.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class EMA:
    """Averages of all weights of some networks, and of their running statistics."""

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.live = {f"{name}.{key}": value for name, net in networks.items() for key, value in _weights(net).items()}
        self.average = {key: value.detach().clone() for key, value in self.live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Update the averages with the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        pairs = [(average, self.live[key].detach()) for key, average in self.average.items()]
        averages, lives = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, lives, 1 - decay)
        for average, live in pairs:
            if not average.is_floating_point():
                average.copy_(live)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the networks carry the averages; afterwards they have their own weights again.

        The weights are restored bit for bit.
        """
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
        """Return the averages and the number of updates that made them."""
        return {"updates": self.updates, "average": dict(self.average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict returned."""
        self.updates = state["updates"]
        for key, value in state["average"].items():
            self.average[key].copy_(value)


def _weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of a network and the buffers that belong to them."""
    return network.state_dict(keep_vars=True)
