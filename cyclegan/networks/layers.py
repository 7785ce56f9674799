"""Building blocks of the generators and the discriminators: padding, residual block, norms.

Convolutions before an instance norm keep their bias, although the norm removes it; convolutions before a
batch norm have none. The parameters therefore match those of the published networks one for one, and released
weights fit.

In training, every block keeps four tensors for the backward pass; the usual order of layers keeps six.
Padding keeps a shape instead of its input. ReLU comes after the padding, which gives the same result and lets
it share one tensor with the convolution.
"""

from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

GROUPS = 32  # of a group norm (Wu & He 2018), or the greatest common divisor with the channels
SPARSE = 8  # stride, in both directions, of the positions that are compared first


class ReflectionPad(nn.ReflectionPad2d):
    """nn.ReflectionPad2d that keeps no input for the gradient and stays in bfloat16 under autocast.

    nn.ReflectionPad2d itself converts to float32 there.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Pad by reflection: (n, c, h, w) → (n, c, h + top + bottom, w + left + right)."""
        if not torch.compiler.is_compiling():
            return _Reflect.apply(features, self.padding)
        with torch.autocast(features.device.type, enabled=False):  # the compiler itself decides what to keep
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
        like_the_input = gradient.new_empty(ctx.shape)  # only its shape is used
        return torch.ops.aten.reflection_pad2d_backward(gradient, like_the_input, ctx.padding), None


def contiguous_gradient(images: Tensor) -> Tensor:
    """Return images whose gradient is contiguous, for networks that compute channels last.

    An instance norm that drew the images would get a gradient of a single image that is channels last wrong
    (see cyclegan.networks.inference_copy).
    """
    return images if torch.compiler.is_compiling() else _ContiguousGradient.apply(images)


class _ContiguousGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return images.view_as(images)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


class ResnetBlock(nn.Module):
    """Rk: x + IN(conv3(ReLU(IN(conv3(x))))), reflection padded; no ReLU after it (CycleGAN, Sec. 7.2)."""

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
        """Compute the block: (n, c, h, w) → (n, c, h, w)."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.body, features, use_reentrant=False).add_(features)
        return self.body(features).add_(features)  # in place, as no layer needs its output for the gradient


class InstanceNorm(nn.InstanceNorm2d):
    """nn.InstanceNorm2d with means and deviations in float32.

    On the CPU they would otherwise have the precision of the features. In evaluation, constant channels
    become exactly 0, or the offset of an affine norm, see `without_rounding`.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize each channel of each image: (n, c, h, w) → (n, c, h, w)."""
        if not self.training:
            features = without_rounding(features, self.num_features, self.eps)
        if features.dtype != torch.bfloat16 or features.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(features)
        gain = features.new_ones(self.num_features, dtype=torch.float32)  # float32 weights make it compute in float32
        offset = torch.zeros_like(gain)
        if self.affine:
            gain, offset = self.weight.float(), self.bias.float()
        return nn.functional.instance_norm(features, weight=gain, bias=offset, eps=self.eps)


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm; in evaluation, constant groups become exactly the offset, see `without_rounding`."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalize each group of channels: (n, c, h, w) → (n, c, h, w)."""
        if not self.training:
            features = without_rounding(features, self.num_groups, self.eps)
        return super().forward(features)


def without_rounding(features: Tensor, groups: int, eps: float) -> Tensor:
    """Set constant groups of channels to 0, so that a norm has no rounding errors to amplify.

    An image of a single color gives features that are constant except for rounding errors of about 1e-7. A
    norm multiplies these by 1/√eps = 316, and the following norms multiply them again, until noise fills the
    range. A group counts as constant if all of its values lie within `eps` of each other; normalized, they
    would lie within √eps = 0.003. All other groups keep their bits.
    """
    positions = features[..., ::SPARSE, ::SPARSE]
    if (
        features.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not _constant(positions, groups, eps).any()
    ):
        return features  # all groups vary at these positions; on other devices this check would wait
    return features.masked_fill(_constant(features, groups, eps), 0)


def _constant(features: Tensor, groups: int, eps: float) -> Tensor:
    """Mark constant groups: (n, c, h, w) → (n, c, 1, 1).

    The result is True for the channels of a group whose values lie within eps of each other.
    """
    high, low = (each.unflatten(1, (groups, -1)) for each in (features.amax((2, 3)), features.amin((2, 3))))
    constant = high.amax(2, keepdim=True) - low.amin(2, keepdim=True) <= eps
    return constant.expand_as(high).flatten(1)[..., None, None]


def normalize(kind: str, channels: int) -> nn.Module:
    """Return the norm layer of a kind, which gives features zero mean and unit variance.

    The statistics are taken over

    instance  each channel of each image; not affine.
    batch     each channel of all images together, in evaluation by running statistics; affine.
    layer     all channels of each image; affine.
    group     groups of channels of each image; affine.

    Any other kind, such as spectral or none, gives the identity.
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
    """Return True if a convolution before this norm has a bias."""
    return norm != "batch"
