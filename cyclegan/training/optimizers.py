"""One Adam optimizer per parameter group; a method calls only `minimize`.

Checks for finite numbers, and everything else that belongs to a step of gradient descent, are kept here, so
that no method contains them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from cyclegan import distributed
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.protocols import Losses
from cyclegan.training.training_config import OptimizerConfig


class Optimizers:
    """Optimizers of all parameter groups."""

    def __init__(
        self,
        groups: Mapping[str, Iterable[nn.Parameter]],
        config: OptimizerConfig,
        micro_batches: int = 1,
    ) -> None:
        """Build the optimizers.

        `micro_batches` is the number of calls of `minimize` per update of a group; their gradients are
        averaged.
        """
        self.config = config
        self.micro_batches = micro_batches
        self.parameters = {group: list(parameters) for group, parameters in groups.items()}
        for name, by_group in (("lr_factors", config.lr_factors), ("update_every", config.update_every)):
            for group in by_group.keys() - self.parameters.keys():
                known = " and ".join(self.parameters)
                raise UserError(f"training.optimizer.{name}: no such parameter group: '{group}'; there are {known}")
        self.adam = {
            group: torch.optim.Adam(parameters, betas=config.betas, fused=True)
            for group, parameters in self.parameters.items()
        }
        self.skipped: set[str] = set()  # groups that are not updated in this step
        self.set_learning_rates(0, 1.0)
        self.accumulated = dict.fromkeys(self.parameters, 0)  # micro-batches since the last update
        self.terms: dict[str, list[str]] = {}  # names of the losses of each group

    def minimize(self, group: str, losses: Losses) -> None:
        """Update one parameter group by the gradient of the sum of its losses; no other gradient changes.

        Raises NotFiniteError before the update if a loss, a gradient or a weight is NaN or infinite. Several
        processes compare means over all of them, so that they come to the same result.
        """
        refuse_not_finite(distributed.all_reduce_mean(losses))
        self.terms[group] = list(losses)
        if group in self.skipped:
            return
        if not self.accumulated[group]:
            self.adam[group].zero_grad(set_to_none=True)
        (sum(losses.values()) / self.micro_batches).backward(inputs=self.parameters[group])  # type: ignore[union-attr]
        self.accumulated[group] = (self.accumulated[group] + 1) % self.micro_batches
        if self.accumulated[group]:
            return
        distributed.all_reduce_mean_(
            parameter.grad for parameter in self.parameters[group] if parameter.grad is not None
        )
        self._refuse_not_finite(group)
        self.adam[group].step()

    def _refuse_not_finite(self, group: str) -> None:
        """Raise NotFiniteError unless the norm of all gradients and weights is finite.

        Each gradient is checked by itself only if that norm is not finite.
        """
        weights = self.parameters[group]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if torch.isfinite(get_total_norm([*gradients, *weights])):
            return
        bad = sum(not torch.isfinite(gradient.norm()) for gradient in gradients)
        what = f"{bad} of the {len(gradients)} gradients" if bad else "weights"
        raise NotFiniteError(f"{what} of {group}: no longer finite; try a lower learning rate")

    def set_learning_rates(self, step: int, factor: float) -> float:
        """Set the learning rates of a step to `factor` times the configured ones.

        Returns the rate without lr_factors.

        With `update_every` n, a group is updated only in the last of every n steps: n updates of a critic for
        one of the generator (n_critic of Arjovsky et al. 2017, Algorithm 1), each on a batch of its own.
        """
        self.skipped = {group for group, count in self.config.update_every.items() if (step + 1) % count}
        for group, adam in self.adam.items():
            for parameters in adam.param_groups:
                parameters["lr"] = factor * self.config.lr * self.config.lr_factors.get(group, 1.0)
        return factor * self.config.lr

    def state_dict(self) -> dict[str, Any]:
        """Return both moments of every group."""
        return {group: adam.state_dict() for group, adam in self.adam.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict returned."""
        for group, adam in self.adam.items():
            adam.load_state_dict(state[group])


def refuse_not_finite(losses: Losses) -> None:
    """Raise NotFiniteError unless the sum of the losses is finite.

    A sum with a term that is not finite is not finite either, so single terms are checked only then.
    """
    if not torch.isfinite(sum(losses.values())):  # type: ignore[arg-type]
        bad = ", ".join(f"{name} = {value.item()}" for name, value in losses.items() if not torch.isfinite(value))
        raise NotFiniteError(f"{bad or 'the sum of the losses'}: no longer finite; try a lower learning rate")
