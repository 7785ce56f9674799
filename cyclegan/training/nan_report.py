"""Report on a loss or weight that is no longer finite, not-finite.json, for finding the cause."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan import distributed
from cyclegan.protocols import Trainable


def write_nan_report(
    folder: Path, step: int, method: Trainable, pictures: Mapping[str, Sequence[str]], error: Exception
) -> None:
    """Write the report on a training step that has failed.

    With several processes the error occurs in all of them, and the first writes.

    step      Number of steps done before this one.
    pictures  Files that the batch was read from, by field.
    """
    if distributed.rank() == 0:
        report = {"step": step + 1, "said": str(error), **_not_finite(method), "pictures": pictures}
        (folder / "not-finite.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _not_finite(method: Trainable) -> dict[str, Any]:
    """Names of the weights and of the gradients that are not finite."""
    assert isinstance(method, nn.Module)
    named = dict(method.named_parameters())
    gradients = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}

    def bad(tensors: Mapping[str, Tensor]) -> list[str]:
        return [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]

    return {"weights": bad(named), "gradients": bad(gradients)}
