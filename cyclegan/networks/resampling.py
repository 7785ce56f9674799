"""Half the size and twice the size: with checkerboards as in the papers, or without."""

from torch import nn

from cyclegan.networks.layers import ReflectionPad, has_bias, normalize


class BlurPool(nn.Sequential):
    """Every second of the features, filtered by [1 2 1]²/16 first (Zhang 2019): the mean of means of two is that."""

    def __init__(self) -> None:
        super().__init__(ReflectionPad(1), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2))


class SubpixelConv(nn.Conv2d):
    """conv3 to the channels of 2×2 pixels each, for nn.PixelShuffle; these start alike (ICNR, Aitken et al. 2017)."""

    def __init__(self, channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(channels, 4 * out_channels, 3, padding=1, padding_mode="replicate", bias=bias)


def upsample(channels: int, out_channels: int, kind: str, norm: str = "instance", relu: bool = True) -> nn.Sequential:
    """uk: twice the height and width, norm, ReLU.

    Without its ReLU it is for one that comes after the padding of what follows.
    """
    larger = grow(channels, out_channels, kind, bias=has_bias(norm))
    return nn.Sequential(*larger, normalize(norm, out_channels), *[nn.ReLU(inplace=True)] * relu)


def grow(channels: int, out_channels: int, kind: str, *, kernel: int = 3, bias: bool = True) -> list[nn.Module]:
    """The layers that double height and width.

    transposed  The papers'; only this has a kernel that is not 3×3.
    resize      Each feature four times, conv3 (Odena et al. 2016).
    blur        The same, filtered by [1 2 1]²/16 before the conv3: this is bilinear (Zhang 2019).
    shuffle     conv3 to four times the channels, which become 2×2 pixels (Shi et al. 2016).

    The conv3 of resize and blur is reflection padded; of resize_zeros and blur_zeros it is zero padded, as in the code
    of PyTorch-GAN and of CUT, whose generators can be imported.
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
