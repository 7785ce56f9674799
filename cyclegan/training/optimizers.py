"""One Adam per player; `minimize` is the only verb a method needs.

Checks for finite numbers and whatever else belongs to a step of gradient descent stay in here, so that no method's
file mentions them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from cyclegan import distributed
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.protocols import Losses
from cyclegan.training.settings import OptimizerConfig


class Optimizers:
    """The optimizers of all players."""

    def __init__(self, players: Mapping[str, Iterable[nn.Parameter]], config: OptimizerConfig, parts: int = 1) -> None:
        self.config = config
        self.parts = parts  # of a batch: a player moves when it has heard of all of them
        self.parameters = {player: list(parameters) for player, parameters in players.items()}
        for name, of_players in (("lr_factors", config.lr_factors), ("every", config.every)):
            for player in of_players.keys() - self.parameters.keys():
                known = " and ".join(self.parameters)
                raise UserError(f"training.optimizer.{name}: there is no '{player}' in this game, only {known}")
        self.adam = {
            player: torch.optim.Adam(parameters, betas=config.betas, fused=True)
            for player, parameters in self.parameters.items()
        }
        self.watching: set[str] = set()  # players that do not move in this step
        self.begin(0, 1.0)
        self.heard = dict.fromkeys(self.parameters, 0)
        self.terms: dict[str, list[str]] = {}  # the names of the losses that each player minimizes

    def minimize(self, player: str, losses: Losses) -> None:
        """Step one player downhill on the sum of its losses; nobody else's gradient is touched.

        Raises NotFiniteError before the step if a loss, a gradient or a weight is NaN or infinite: nothing has moved.
        Of several processes all look at means over all, so that they come to the same verdict.
        """
        refuse_not_finite(distributed.averaged(losses))
        self.terms[player] = list(losses)
        if player in self.watching:
            return
        if not self.heard[player]:
            self.adam[player].zero_grad(set_to_none=True)
        (sum(losses.values()) / self.parts).backward(inputs=self.parameters[player])  # type: ignore[union-attr]
        self.heard[player] = (self.heard[player] + 1) % self.parts
        if self.heard[player]:
            return
        distributed.average_(parameter.grad for parameter in self.parameters[player] if parameter.grad is not None)
        self._refuse_what_is_not_finite(player)
        self.adam[player].step()

    def _refuse_what_is_not_finite(self, player: str) -> None:
        """One look at the norm of all, as its square, like Adam's, is not finite if one is not; at each only then."""
        weights = self.parameters[player]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if torch.isfinite(get_total_norm([*gradients, *weights])):
            return
        bad = sum(not torch.isfinite(gradient.norm()) for gradient in gradients)
        what = f"{bad} of the {len(gradients)} gradients" if bad else "weights"
        raise NotFiniteError(f"{what} of {player}: no longer finite; try a lower learning rate")

    def begin(self, step: int, factor: float) -> float:
        """Who moves in a step, and at which share of the configured learning rates; that without lr_factors comes back.

        With `every` n, a player moves in the last of n steps, so that the others have come n steps further: the rounds
        of a critic for one of a generator (n_critic of Arjovsky et al. 2017, Algorithm 1), each on a batch of its own.
        """
        self.watching = {player for player, count in self.config.every.items() if (step + 1) % count}
        for player, adam in self.adam.items():
            for group in adam.param_groups:
                group["lr"] = factor * self.config.lr * self.config.lr_factors.get(player, 1.0)
        return factor * self.config.lr

    def state_dict(self) -> dict[str, Any]:
        """Both moments of every player."""
        return {player: adam.state_dict() for player, adam in self.adam.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of state_dict."""
        for player, adam in self.adam.items():
            adam.load_state_dict(state[player])


def refuse_not_finite(losses: Losses) -> None:
    """One look at the sum, as it is not finite if a term is not; the terms are looked at only then."""
    if not torch.isfinite(sum(losses.values())):  # type: ignore[arg-type]
        bad = ", ".join(f"{name} = {value.item()}" for name, value in losses.items() if not torch.isfinite(value))
        raise NotFiniteError(f"{bad or 'the sum of the losses'}: no longer finite; try a lower learning rate")
