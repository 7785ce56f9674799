"""Translation of large images in overlapping tiles, with the result of the whole image and less memory.

Differs      In float32 from the translation of the whole image by less than a hundredth of a level of 255.
             In bfloat16, whose convolutions round differently at another size, by 2 to 6 levels at most and
             .3 to .7 on average (random generators of 3 and 9 blocks, 192×160 px); the tiled result is then
             as far from the float32 result as the translation of the whole image is.

Overlap      As wide as the reach of a pixel in the network, so that everything a cut edge of a tile affects
             is discarded. At a border of the image the tile ends there as well and is padded as the whole
             image would be. Pixels of an overlap are computed once for each tile that contains them: for the
             generator of the paper, with 88 px on each side, tiles of 96 px compute 8 times the pixels of
             the image, tiles of 384 px 2.1 times and tiles of 1500 px 1.25 times.
Statistics   A norm over an image (instance, layer or group) needs the mean and variance of the whole image.
             They are gathered layer by layer: for each norm, all tiles run up to it, with the statistics of
             the norms before it already known. This is exact and costs time: a generator with 23 norms runs
             about twelve times. Networks without norms run once.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.protocols import AnyImages

NORMS = (nn.InstanceNorm2d, nn.GroupNorm)  # frozen networks use GroupNorm with one channel per group


class Tile(NamedTuple):
    """Square of an image, in pixels: the part that is kept, and the same with its overlap."""

    top: int
    left: int
    bottom: int
    right: int
    outer: tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class TiledTranslator:
    """Translator that runs a NetworkTranslator tile by tile."""

    whole: NetworkTranslator
    side: int  # px of a tile without its overlap

    def __post_init__(self) -> None:
        if self.side < self.whole.stride:
            raise UserError(f"tiles of {self.side} pixels: give {self.whole.stride} or more")

    @property
    def seen(self) -> int:
        """Side in px of the part of the image that the network takes at once: a tile with its overlap."""
        return self._side() + 2 * self._overlap()

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        """Translate (n, c, h, w) images to (n, c', h, w), one image at a time."""
        return torch.cat([self._translated(image) for image in images.split(1)])

    @torch.no_grad()
    def fixed(self, images: Sequence[Float[Tensor, "1 _ _ _"]]) -> nn.Module:
        """Return the network with the statistics of all images, of any size each, taken as one image."""
        network, norms = _with_fixed_norms(self.whole.network)
        for norm in norms:
            for tile, piece in chain.from_iterable(map(self._pieces, images)):
                norm.tile = tile
                try:
                    network(piece)
                except _ReachedError:
                    continue
            norm.finish()
        return network

    def _translated(self, image: Float[Tensor, "1 _ h w"]) -> Float[Tensor, "1 _ h w"]:
        height, width = image.shape[2:]
        network = self.fixed([image])
        result: Tensor | None = None
        for tile, piece in self._pieces(image):
            top, left, bottom, right = tile[:4]
            drawn = network(piece).to(image)
            if result is None:
                result = image.new_empty(1, drawn.shape[1], *self._padded(image).shape[2:])
            result[..., top:bottom, left:right] = drawn[..., *_inside(tile, drawn.shape[2:])]
        assert result is not None  # an image has a tile
        return result[..., :height, :width]

    def _pieces(self, image: Float[Tensor, "1 _ h w"]) -> Iterator[tuple[Tile, Float[Tensor, "1 _ _ _"]]]:
        """Yield every tile and the part of the image that the network takes for it."""
        padded = self._padded(image)
        for tile in _tiles(padded.shape[2], padded.shape[3], self._side(), self._overlap()):
            yield tile, _cut(padded, tile).to(self.whole.device)

    def _padded(self, image: Float[Tensor, "1 _ h w"]) -> Float[Tensor, "1 _ _ _"]:
        return pad(image, self.whole.padding(image.shape[2], image.shape[3]), mode="replicate")

    def _side(self) -> int:
        return self.side - self.side % self.whole.stride

    def _overlap(self) -> int:
        stride = self.whole.stride
        return -(-receptive_radius(self.whole.network) // stride) * stride


def has_norms(network: nn.Module) -> bool:
    """Return whether a network uses statistics of the whole image."""
    return any(isinstance(layer, NORMS) for layer in network.modules())


def receptive_radius(network: nn.Module) -> int:
    """Return the largest distance, in pixels, from which the input affects a pixel of the result.

    The layers have to be registered in the order they run in.
    """
    far, step = 0.0, 1.0  # in pixels of the input, and pixels of the input between two positions of the layer
    for layer in network.modules():
        match layer:
            case nn.ConvTranspose2d():
                step /= layer.stride[0]
                far += layer.kernel_size[0] / 2 * step
            case nn.Conv2d():
                far += (layer.kernel_size[0] - 1) / 2 * step
                step *= layer.stride[0]
            case nn.Upsample():
                step /= float(layer.scale_factor)  # type: ignore[arg-type]
                far += 2 * step if layer.mode == "bilinear" else step
            case nn.AvgPool2d():
                far += step
                step *= layer.stride  # type: ignore[operator]
            case nn.PixelUnshuffle():
                step *= layer.downscale_factor
                far += step
            case nn.PixelShuffle():
                step /= layer.upscale_factor
                far += step
    return int(far) + 1


class _ReachedError(Exception):
    """Signal that the norm being measured has received the features of this tile."""


class _FixedNorm(nn.Module):
    """Norm over groups of channels whose mean and variance are first gathered over tiles.

    It computes in float32 and rounds once.
    """

    def __init__(self, norm: nn.InstanceNorm2d | nn.GroupNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        channels = norm.num_channels if isinstance(norm, nn.GroupNorm) else norm.num_features
        self.groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else channels
        self.gain, self.offset = norm.weight, norm.bias  # None, where it is not affine
        self.count = 0
        self.sums = torch.zeros(2, channels, dtype=torch.float64)
        self.range = torch.tensor([[torch.inf], [-torch.inf]]).repeat(1, channels)  # lowest and highest
        self.known = False
        self.tile: Tile | None = None

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Normalize the features if the statistics are known; otherwise add them to the statistics."""
        if not self.known:
            assert self.tile is not None
            inner = features[..., *_inside(self.tile, features.shape[2:])]
            found = torch.var_mean(inner.float(), dim=(0, 2, 3), correction=0)
            variance, mean = (each.cpu().double() for each in found)
            self.count += inner[0, 0].numel()
            self.sums += inner[0, 0].numel() * torch.stack([mean, variance + mean**2])
            low, high = (each.float().cpu() for each in (inner.amin((0, 2, 3)), inner.amax((0, 2, 3))))
            self.range = torch.stack([self.range[0].minimum(low), self.range[1].maximum(high)])
            self.device = features.device
            raise _ReachedError
        normalized = features - self.mean  # in float32, as the statistics are
        if self.constant is not None:  # see layers.without_rounding; in a film, other frames may vary
            normalized.masked_fill_(self.constant & (normalized.abs() <= self.eps), 0)
        normalized.mul_(self.scale)
        if self.gain is not None:
            normalized.mul_(self.gain[:, None, None]).add_(self.offset[:, None, None])
        return normalized.to(features.dtype)

    def finish(self) -> None:
        """Compute the statistics once all tiles have been measured."""
        of_channels = self.sums / self.count
        of_groups = of_channels.view(2, self.groups, -1).mean(dim=2)
        low, high = self.range.view(2, self.groups, -1)
        constant = high.amax(dim=1) - low.amin(dim=1) <= self.eps
        width = of_channels.shape[1] // self.groups
        mean, square = of_groups.repeat_interleave(width, dim=1)
        scale = ((square - mean**2).clamp(min=0) + self.eps).rsqrt()
        self.constant = constant.repeat_interleave(width)[:, None, None].to(self.device) if constant.any() else None
        self.mean, self.scale = (each[:, None, None].float().to(self.device) for each in (mean, scale))
        self.known = True


def _with_fixed_norms(network: nn.Module) -> tuple[nn.Module, list[_FixedNorm]]:
    """Return a copy of a network, and its norms in the order they run in."""
    copied = deepcopy(network).eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d | nn.GroupNorm):
                setattr(parent, name, _FixedNorm(child))
    return copied, [module for module in copied.modules() if isinstance(module, _FixedNorm)]


def _tiles(height: int, width: int, side: int, overlap: int) -> Iterator[Tile]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            outer = (
                *(max(0, top - overlap), max(0, left - overlap)),
                *(min(height, bottom + overlap), min(width, right + overlap)),
            )
            yield Tile(top, left, bottom, right, outer)


def _cut(image: AnyImages, tile: Tile) -> Float[Tensor, "n _ _ _"]:
    top, left, bottom, right = tile.outer
    return image[..., top:bottom, left:right]


def _inside(tile: Tile, shape: torch.Size) -> tuple[slice, slice]:
    """Return the slices of the kept part of a tile in its features, whatever their resolution."""
    top, left, bottom, right = tile.outer
    down, across = (bottom - top) / shape[0], (right - left) / shape[1]  # pixels a position
    rows = slice(round((tile.top - top) / down), round((tile.bottom - top) / down))
    return rows, slice(round((tile.left - left) / across), round((tile.right - left) / across))
