"""Building blocks of the generators and the discriminators: padding, residual block, norms.

Every convolution before an instance norm keeps its bias, although the norm removes it, and none before a batch norm
has one: so the parameters are those of the published networks, one for one, and released weights fit.

Training keeps of every block four tensors, where the usual order of layers keeps six: padding remembers a shape
instead of its input, and ReLU comes after the padding, which gives the same and lets it share one tensor with the
convolution.
"""

from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

GROUPS = 32  # of a group norm (Wu & He 2018), or the most that divide both
SPARSE = 8  # every how many positions, in both directions, are looked at first


class ReflectionPad(nn.ReflectionPad2d):
    """nn.ReflectionPad2d that keeps no input for the gradient, and bfloat16 under autocast, where that one widens."""

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h + top + bottom, w + left + right)."""
        if not torch.compiler.is_compiling():
            return _Reflect.apply(features, self.padding)
        with torch.autocast(features.device.type, enabled=False):  # what to keep, the compiler finds out by itself
            return super().forward(features)


class _Reflect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
        ctx.shape, ctx.padding = features.shape, padding
        with torch.autocast(features.device.type, enabled=False):
            return nn.functional.pad(features, padding, "reflect")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        like_the_input = gradient.new_empty(ctx.shape)  # only its shape is looked at
        return torch.ops.aten.reflection_pad2d_backward(gradient, like_the_input, ctx.padding), None


class ResnetBlock(nn.Module):
    """Rk: x + IN(conv3(ReLU(IN(conv3(x))))), reflection padded; no ReLU after the sum (CycleGAN, Sec. 7.2)."""

    recompute = False  # in training, keep only the input and compute the rest again for the gradient

    def __init__(self, channels: int, norm: str = "instance") -> None:
        super().__init__()
        conv, bias = nn.Conv2d, has_bias(norm)
        self.body = nn.Sequential(
            *(ReflectionPad(1), conv(channels, channels, 3, bias=bias), normalize(norm, channels)),
            *(ReflectionPad(1), nn.ReLU(inplace=True)),
            *(conv(channels, channels, 3, bias=bias), normalize(norm, channels)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.body, features, use_reentrant=False).add_(features)
        return self.body(features).add_(features)  # in place, as no layer looks back at what it has put out


class InstanceNorm(nn.InstanceNorm2d):
    """nn.InstanceNorm2d with means and deviations in float32, which on the CPU are else as coarse as the features.

    In evaluation, constant channels become exactly 0, see `without_rounding`.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        if not self.training:
            features = without_rounding(features, self.num_features, self.eps)
        if features.dtype != torch.bfloat16 or features.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(features)
        ones = features.new_ones(self.num_features, dtype=torch.float32)  # weights of this kind are what it takes
        return nn.functional.instance_norm(features, weight=ones, bias=torch.zeros_like(ones), eps=self.eps)


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm; in evaluation, constant groups become exactly the offset, see `without_rounding`."""

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        if not self.training:
            features = without_rounding(features, self.num_groups, self.eps)
        return super().forward(features)


def without_rounding(features: Tensor, groups: int, eps: float) -> Tensor:
    """Features with constant groups of channels set to 0, so that a norm has no rounding errors to amplify.

    A picture of one color gives features that are constant but for rounding, about 1e-7, which a norm multiplies by
    1/√eps = 316 and the next ones again, until noise fills the range. A group counts as constant if all of its values
    lie within `eps` of each other; normalized, they would lie within √eps = 0.003. All other groups keep their bits.
    """
    positions = features[..., ::SPARSE, ::SPARSE]
    if (
        features.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not _constant(positions, groups, eps).any()
    ):
        return features  # as where few positions differ, all do; on other devices, asking would be a wait
    return features.masked_fill(_constant(features, groups, eps), 0)


def _constant(features: Tensor, groups: int, eps: float) -> Tensor:
    """(n, c, h, w) → (n, c, 1, 1): True for the channels of a group whose values lie within eps of each other."""
    high, low = (each.unflatten(1, (groups, -1)) for each in (features.amax((2, 3)), features.amin((2, 3))))
    constant = high.amax(2, keepdim=True) - low.amin(2, keepdim=True) <= eps
    return constant.expand_as(high).flatten(1)[..., None, None]


def normalize(kind: str, channels: int) -> nn.Module:
    """Zero mean and unit variance, of what, `kind` says; for any other kind, as spectral or none, nothing is done.

    instance  Each channel of each image; not affine.
    batch     Each channel of all images together, later by running statistics; affine, as the next two.
    layer     All channels of each image.
    group     Groups of its channels.
    """
    match kind:
        case "instance":
            return InstanceNorm(channels)
        case "batch":
            return nn.BatchNorm2d(channels)
        case "layer":
            return GroupNorm(1, channels)
        case "group":
            return GroupNorm(gcd(GROUPS, channels), channels)
    return nn.Identity()


def has_bias(norm: str) -> bool:
    """Whether a convolution before this norm has a bias."""
    return norm != "batch"
