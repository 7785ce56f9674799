"""Report on a loss or weight that is no longer finite, not-finite.json, for finding the cause."""

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
def nan_report(
    folder: Path, step: int, method: Trainable, pictures: Callable[[int], Mapping[str, Sequence[str]]]
) -> Iterator[None]:
    """Context of one training step that writes a report on a NotFiniteError before passing it on.

    With several processes the error occurs in all of them, and the first writes.

    step      Number of steps done before this one.
    pictures  Function that returns the files that the batch of a step was read from.
    """
    try:
        yield
    except NotFiniteError as error:
        if distributed.rank() == 0:
            report = {"step": step + 1, "said": str(error), **_not_finite(method), "pictures": pictures(step)}
            (folder / "not-finite.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        raise


def _not_finite(method: Trainable) -> dict[str, Any]:
    """Names of the weights and of the gradients that are not finite."""
    assert isinstance(method, nn.Module)
    named = dict(method.named_parameters())
    gradients = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}

    def bad(tensors: Mapping[str, Tensor]) -> list[str]:
        return [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]

    return {"weights": bad(named), "gradients": bad(gradients)}
