"""Training step on a batch in parts, and with fewer activations kept for the gradient."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import nn

from cyclegan import distributed
from cyclegan.errors import UserError
from cyclegan.protocols import Losses, Minimize, Trainable

TrainingStep: TypeAlias = Callable[[Any, Minimize], Losses]


def in_micro_batches(method: Trainable, count: int, graphs: bool = False) -> TrainingStep:
    """Return the method's training step for a batch in `count` parts: the same gradient in less memory.

    All losses, and all norms except batch norms, which `Experiment` refuses here, treat every image by
    itself. So the average of the parts' gradients is the gradient of the whole, except for rounding. Each of
    several processes has its share of every part, and its images come in that order
    (`distributed.micro_batch_indices`). Two things differ. Random draws, such as those of past fakes and of
    dropout, come in another order. Settings that count steps (`r1_every`, `anneal`) count every part as one:
    such a penalty comes more often and on fewer images, and such an annealing ends sooner.

    graphs  Whether the networks run as CUDA graphs.
    """
    if count == 1 and not graphs:
        return method.training_step

    def step(batch: Any, minimize: Minimize) -> Losses:
        if graphs:
            torch.compiler.cudagraph_mark_step_begin()  # the memory of the last step may be used again
        if count == 1:
            return method.training_step(batch, minimize)
        found: dict[str, list[torch.Tensor]] = {}
        for part in _split(batch, count):
            for name, loss in method.training_step(part, minimize).items():
                found.setdefault(name, []).append(loss.detach())
        return {name: torch.stack(losses).mean() for name, losses in found.items()}

    return step


def _split(batch: Any, count: int) -> Iterator[Any]:
    parts = (tensor.split(distributed.micro_batch_size(len(tensor), count)) for tensor in batch)
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
