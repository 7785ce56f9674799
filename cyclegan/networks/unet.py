"""UnetGenerator: the image-to-image network of pix2pix, an encoder and a decoder with skip connections.

Paper      Isola et al. 2017 (arXiv:1611.07004), Sec. 6.1.1, after Ronneberger et al. 2015: at 256 px the
           encoder C64-C128-C256-C512-C512-C512-C512-C512 and the decoder
           CD512-CD512-CD512-C512-C256-C128-C64, all 4×4 and of stride 2; leaky ReLU of slope 0.2 in the
           encoder, ReLU in the decoder; dropout of 0.5 in its first three layers.
Images     (n, in, h, w) in [-1, 1] → (n, out, h, w); h and w multiples of `stride` = 2^downsamplings; the
           smallest images have 1×1 features in the middle.
Numbers    8 downsamplings: 54,409,603 parameters, with batch norm 54,413,955; 7: 41,825,667 and 41,828,995.
Differs    from the paper: dropout is off by default, as in the authors' code for CycleGAN, and always off in
           evaluation, where pix2pix keeps it as its noise. From the paper's text, as the authors' code does:
           neither the first nor the innermost convolution of the encoder has a norm.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.networks.initialization import initialize_
from cyclegan.networks.layers import has_bias, normalize
from cyclegan.networks.resampling import BlurPool, upsample_layers

DROPPING = 3  # decoder layers


class UnetGenerator(nn.Module):
    """Encoder to few pixels, and a decoder that receives the encoder's features of the same size."""

    def __init__(
        self,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        downsamplings: int = 8,
        downsampling: str = "strided",
        upsampling: str = "transposed",
        norm: str = "instance",
        init: str = "normal",
        dropout: float = 0.0,
        bias: str = "auto",
    ) -> None:
        super().__init__()
        biased = bias == "always" or has_bias(norm)
        self.stride = self.smallest = 2**downsamplings
        widths = [base_channels * min(2**i, 8) for i in range(downsamplings)]
        norms = ["none", *[norm] * (downsamplings - 2), "none"]  # no norm innermost, where there is a single pixel
        self.down = nn.ModuleList(
            _down(narrow, wide, downsampling, kind, bias=biased, relu=i > 0)
            for i, (narrow, wide, kind) in enumerate(zip([in_channels, *widths], widths, norms, strict=False))
        )
        inputs = [widths[-1], *(2 * width for width in widths[-2::-1])]
        self.up = nn.ModuleList(
            # transposed innermost: four equal copies of a single pixel would have no variance for a norm
            _up(wide, narrow, upsampling if i else "transposed", norm, dropout if i < DROPPING else 0.0, bias=biased)
            for i, (wide, narrow) in enumerate(zip(inputs, widths[-2::-1], strict=False))
        )
        self.up.append(
            nn.Sequential(nn.ReLU(inplace=True), *upsample_layers(inputs[-1], out_channels, upsampling, kernel=4))
        )
        initialize_(self, norm, init)

    def forward(self, images: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h w"]:
        """Translate images: (n, in, h, w) → (n, out, h, w), both in [-1, 1]."""
        weight = next(self.parameters())  # a frozen copy may compute in a lower precision than that of its images
        features, passed = images.to(weight.dtype), []
        for down in self.down:
            features = down(features)
            passed.append(
                features
            )  # the next layer's leaky ReLU changes it in place; the decoder's ReLU gives the same
        features = passed.pop()
        for up in self.up:
            features = up(features)
            features = torch.cat([passed.pop(), features], dim=1) if passed else features
        return torch.tanh(features.to(images.dtype))


def _down(channels: int, out_channels: int, downsampling: str, norm: str, *, bias: bool, relu: bool) -> nn.Sequential:
    """Build Ck of the encoder, which begins with the leaky ReLU of the layer before."""
    blurred = downsampling == "blur"
    kernel, stride = (3, 1) if blurred else (4, 2)
    return nn.Sequential(
        *[nn.LeakyReLU(0.2, inplace=True)] * relu,
        nn.Conv2d(channels, out_channels, kernel, stride, padding=1, bias=bias),
        normalize(norm, out_channels),
        *[BlurPool()] * blurred,
    )


def _up(channels: int, out_channels: int, upsampling: str, norm: str, dropout: float, *, bias: bool) -> nn.Sequential:
    """Build Ck or CDk of the decoder, which begins with the ReLU of the layer before."""
    larger = upsample_layers(channels, out_channels, upsampling, kernel=4, bias=bias)
    dropped = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.ReLU(inplace=True), *larger, normalize(norm, out_channels), *dropped)
