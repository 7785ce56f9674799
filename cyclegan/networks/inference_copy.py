"""A generator that translates and learns nothing any more: in fewer digits where the device has them, channels last.

Instance norms become group norms of one channel each: the same numbers, and the order of channels is kept, which the
native instance norm changes back at every layer. In training this order must not be combined with native instance
norms: on the CPU their gradients are then wrong for a single image, silently (see tests/networks/test_frozen.py).
"""

from copy import deepcopy

import torch
from torch import nn

from cyclegan.networks.layers import GroupNorm


def frozen(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a network on its device, whose layers compute in `dtype`; images go in and come out as they are."""
    copied = deepcopy(network).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                setattr(parent, name, GroupNorm(child.num_features, child.num_features, child.eps, affine=False))
    return copied.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
