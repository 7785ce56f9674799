"""Downsampling and upsampling by 2: as in the papers, with checkerboards, or in variants without them."""

from torch import nn

from cyclegan.networks.layers import ReflectionPad, has_bias, normalize


class BlurPool(nn.Sequential):
    """Downsampling by 2 after the filter [1 2 1]²/16 (Zhang 2019), computed as two means over 2×2."""

    def __init__(self) -> None:
        super().__init__(ReflectionPad(1), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2))


class SubpixelConv(nn.Conv2d):
    """conv3 to four channels per output channel, for nn.PixelShuffle.

    The four channels of each 2×2 pixels start with equal weights (ICNR, Aitken et al. 2017).
    """

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, 4 * out_channels, 3, padding=1, padding_mode="replicate", bias=bias)


def upsample(channels: int, out_channels: int, kind: str, norm: str = "instance", relu: bool = True) -> nn.Sequential:
    """Build uk: twice the height and width, norm, ReLU.

    relu  False: leave the ReLU out, for a next layer that applies it after its own padding.
    """
    larger = upsample_layers(channels, out_channels, kind, bias=has_bias(norm))
    return nn.Sequential(*larger, normalize(norm, out_channels), *[nn.ReLU(inplace=True)] * relu)


def upsample_layers(
    channels: int, out_channels: int, kind: str, *, kernel: int = 3, bias: bool = True
) -> list[nn.Module]:
    """Return the layers that double height and width.

    transposed  As in the papers; the only kind whose kernel may differ from 3×3.
    resize      Repeat each feature four times, then conv3 (Odena et al. 2016).
    blur        As resize, with the filter [1 2 1]²/16 before the conv3, which is bilinear interpolation
                (Zhang 2019).
    shuffle     conv3 to four times the channels, which become 2×2 pixels (Shi et al. 2016).

    The conv3 of resize and blur is reflection padded; that of resize_zeros and blur_zeros is zero padded, as
    in the code of PyTorch-GAN and of CUT, whose generators can be imported.
    """
    match kind:
        case "transposed":
            sizes = {"stride": 2, "padding": 1, "output_padding": 4 - kernel}
            return [nn.ConvTranspose2d(channels, out_channels, kernel, **sizes, bias=bias)]  # type: ignore[arg-type]
        case "shuffle":
            return [SubpixelConv(channels, out_channels, bias), nn.PixelShuffle(2)]
    larger = nn.Upsample(scale_factor=2, mode="bilinear" if kind.startswith("blur") else "nearest")
    if kind.endswith("_zeros"):
        return [larger, nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)]
    return [larger, ReflectionPad(1), nn.Conv2d(channels, out_channels, 3, bias=bias)]
