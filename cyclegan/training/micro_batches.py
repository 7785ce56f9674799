"""One training step on one batch: whole or in parts, and with more or less kept for the gradient."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from cyclegan import distributed
from cyclegan.errors import UserError
from cyclegan.protocols import Losses, Minimize, Trainable


class MicroBatches:
    """Training step on a batch in parts, one after the other: the gradient of the whole batch in less memory.

    All losses, and all norms except batch norms, which `Experiment` refuses here, treat every image by
    itself. So the average of the parts' gradients is the gradient of the whole, except for rounding. Each of
    several processes has its share of every part, and its images come in that order
    (`distributed.micro_batch_indices`). Two things differ. Random draws, such as those of past fakes and of
    dropout, come in another order. Settings that count steps (`r1_every`, `anneal`) count every part as one:
    such a penalty comes more often and on fewer images, and such an annealing ends sooner.
    """

    def __init__(self, count: int, graphs: bool = False) -> None:
        """Set the number of parts; `graphs` tells whether the networks run as CUDA graphs."""
        self.count = count
        self.graphs = graphs

    def step(self, method: Trainable, batch: Any, minimize: Minimize) -> Losses:
        """Run the method's step on every part, each with its calls of `minimize`; return the mean losses."""
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()  # the memory of the last step may be used again
        if self.count == 1:
            return method.training_step(batch, minimize)
        found: dict[str, list[torch.Tensor]] = {}
        for part in self._cut(batch):
            for name, loss in method.training_step(part, minimize).items():
                found.setdefault(name, []).append(loss.detach())
        return {name: torch.stack(losses).mean() for name, losses in found.items()}

    def _cut(self, batch: Any) -> Iterator[Any]:
        parts = (tensor.split(distributed.micro_batch_size(len(tensor), self.count)) for tensor in batch)
        for tensors in zip(*parts, strict=True):
            yield type(batch)(*tensors)


def checkpoint_activations(method: Trainable, recompute: bool) -> None:
    """Set whether residual blocks keep only their inputs and are computed a second time for the gradient."""
    assert isinstance(method, nn.Module)
    blocks = [module for module in method.modules() if hasattr(module, "recompute")]
    if recompute and not blocks:
        raise UserError(
            "training.activation_checkpointing: is for residual blocks, of which this method has none; set it to false"
        )
    for block in blocks:
        block.recompute = recompute  # type: ignore[assignment]
