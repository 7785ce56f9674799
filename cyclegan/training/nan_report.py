"""What a training leaves to whoever has to find out why something was no longer finite: not-finite.json."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan import distributed
from cyclegan.errors import NotFiniteError
from cyclegan.protocols import Trainable


@contextmanager
def postmortem(
    folder: Path, step: int, method: Trainable, pictures: Callable[[int], Mapping[str, Sequence[str]]]
) -> Iterator[None]:
    """Within this context, in which a step is done, a NotFiniteError is written down before it goes on.

    Of several processes all get to know it, and the first writes.

    step      The step, as a number of steps done before.
    pictures  The files that the batch of a step was read from.
    """
    try:
        yield
    except NotFiniteError as error:
        if distributed.rank() == 0:
            report = {"step": step + 1, "said": str(error), **_not_finite(method), "pictures": pictures(step)}
            (folder / "not-finite.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        raise


def _not_finite(method: Trainable) -> dict[str, Any]:
    """Which weights, and which gradients, by name."""
    assert isinstance(method, nn.Module)
    named = dict(method.named_parameters())
    gradients = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}

    def bad(tensors: Mapping[str, Tensor]) -> list[str]:
        return [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]

    return {"weights": bad(named), "gradients": bad(gradients)}
