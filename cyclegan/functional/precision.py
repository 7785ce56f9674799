"""Precision of sums and of statistics."""

import torch
from torch import Tensor


def at_least_float32(numbers: Tensor) -> Tensor:
    """Return the numbers in float32, or as they are in float64, as sums in bfloat16 or float16 are inexact."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))
