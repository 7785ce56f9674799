"""Building blocks of the generators and the discriminators: residual block, up-sampling, initialization.

Every convolution before an instance norm keeps its bias, although the norm removes it: so the parameters are
those of the published networks, one for one, and released weights fit.

Training keeps of every block four tensors, where the usual order of layers keeps six: padding remembers a shape
instead of its input, and ReLU comes after the padding, which gives the same and lets it share one tensor with the
convolution.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint


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
        self.body = nn.Sequential(
            *(ReflectionPad(1), nn.Conv2d(channels, channels, 3), normalize(norm, channels)),
            *(ReflectionPad(1), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 3), normalize(norm, channels)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.body, features, use_reentrant=False).add_(features)
        return self.body(features).add_(features)  # in place, as no layer looks back at what it has put out


def normalize(kind: str, channels: int) -> nn.Module:
    """`instance`: zero mean, unit variance in each channel of each image, not affine. Otherwise nothing is done."""
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def upsample(channels: int, out_channels: int, kind: str, norm: str = "instance", relu: bool = True) -> nn.Sequential:
    """uk: twice the height and width. `transposed` is the paper's; `resize` (nearest, conv3) draws no checkerboard.

    Without its ReLU it is for one that comes after the padding of what follows.
    """
    grow: list[nn.Module]
    if kind == "transposed":
        grow = [nn.ConvTranspose2d(channels, out_channels, 3, stride=2, padding=1, output_padding=1)]
    else:
        grow = [nn.Upsample(scale_factor=2), ReflectionPad(1), nn.Conv2d(channels, out_channels, 3)]
    return nn.Sequential(*grow, normalize(norm, out_channels), *[nn.ReLU(inplace=True)] * relu)


def initialize_(network: nn.Module, norm: str, last_std: float = 0.02) -> None:
    """Weights of all convolutions from N(0, 0.02²), biases 0 (CycleGAN, Sec. 7.1).

    Without instance norms nothing rescales the features of such small weights: there all but the last convolution
    get He's variance (He et al. 2015, Eq. 10), and every residual branch starts at a tenth, so that the sum does not
    grow with depth.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    branch_ends = {block.body[5] for block in network.modules() if isinstance(block, ResnetBlock)}
    for layer in convolutions:
        if layer is convolutions[-1]:
            nn.init.normal_(layer.weight, 0.0, last_std)
        elif norm == "instance":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if norm != "instance" and layer in branch_ends:
            layer.weight.data.mul_(0.1)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
