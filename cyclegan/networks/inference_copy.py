"""Copies of a generator for inference: in lower precision where the device supports it, channels last.

Instance norms become group norms with one channel per group. The results are the same, and the channels-last
memory format is kept, which the native instance norm would undo at every layer. In training, channels last
must not be combined with native instance norms: on the CPU their gradients are then silently wrong for a
single image (see tests/networks/test_frozen.py).
"""

from copy import deepcopy

import torch
from torch import nn

from cyclegan.networks.layers import GroupNorm


def inference_copy(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a frozen copy of a network on its device, whose layers compute in `dtype`.

    Images keep their own dtype at the input and the output.
    """
    copied = deepcopy(network).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                setattr(parent, name, _as_group_norm(child))
    return copied.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _as_group_norm(norm: nn.InstanceNorm2d) -> GroupNorm:
    """Return a group norm with one channel per group and the gain and offset of an instance norm, if it has any."""
    groups = GroupNorm(norm.num_features, norm.num_features, norm.eps, affine=norm.affine)
    groups.load_state_dict(norm.state_dict())
    return groups.to(next(norm.parameters(), torch.empty(0)).device)
