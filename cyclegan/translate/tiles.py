"""Large pictures in overlapping tiles, with the result of the whole picture and a fraction of its memory.

Differs      in float32 by less than a hundredth of a level of 255. In bfloat16, whose convolutions round otherwise in
             another size, by 2 to 6 levels where it is most, .3 to .7 in the mean (random generators of 3 and 9 blocks,
             192×160 px); from float32 tiles are then as far away as the whole picture is.

Overlap      as wide as a pixel of the network sees, so that what the cut edges of a tile change is thrown away. At the
             borders of the picture a tile ends there, too, and is padded as the whole would be. What overlaps is
             computed once more for each tile that sees it: by the generator of the paper, with 88 px on each side, in
             tiles of 96 px 8 times the pixels of the picture, in those of 384 px 2.1, in those of 1500 px 1.25 times.
Statistics   A norm of an image (instance, layer or group) needs mean and variance over the whole picture. They are
             gathered layer by layer: for each norm all tiles run up to it, with those before it known already. Exact,
             and paid for in time: a generator with 23 norms runs about twelve times. Networks without run once.
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

NORMS = (nn.InstanceNorm2d, nn.GroupNorm)  # the latter in frozen networks, of one channel each


class Tile(NamedTuple):
    """A square of the picture, in pixels: what is kept of it, and the same with the overlap."""

    top: int
    left: int
    bottom: int
    right: int
    outer: tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class TiledTranslator:
    """A NetworkTranslator that works tile by tile."""

    whole: NetworkTranslator
    side: int  # px of a tile without its overlap

    def __post_init__(self) -> None:
        if self.side < self.whole.stride:
            raise UserError(f"tiles of {self.side} pixels: give {self.whole.stride} or more")

    @property
    def seen(self) -> int:
        """The side of what the network sees of the picture at once, in px: a tile and its overlap."""
        return self._side() + 2 * self._overlap()

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        """(n, c, h, w) → (n, c', h, w), one image at a time."""
        return torch.cat([self._translated(image) for image in images.split(1)])

    @torch.no_grad()
    def fixed(self, images: Sequence[Float[Tensor, "1 _ _ _"]]) -> nn.Module:
        """The network with the statistics of all the images, each of any size, as if they were one picture."""
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
        """Every tile and what the network sees of it."""
        padded = self._padded(image)
        for tile in _tiles(padded.shape[2], padded.shape[3], self._side(), self._overlap()):
            yield tile, _cut(padded, tile).to(self.whole.device)

    def _padded(self, image: Float[Tensor, "1 _ h w"]) -> Float[Tensor, "1 _ _ _"]:
        return pad(image, self.whole.padding(image.shape[2], image.shape[3]), mode="replicate")

    def _side(self) -> int:
        return self.side - self.side % self.whole.stride

    def _overlap(self) -> int:
        stride = self.whole.stride
        return -(-reach(self.whole.network) // stride) * stride


def has_norms(network: nn.Module) -> bool:
    """Whether it looks at the statistics of the whole picture."""
    return any(isinstance(layer, NORMS) for layer in network.modules())


def reach(network: nn.Module) -> int:
    """How many pixels away from itself a pixel of the result may see, at most; layers in the order they are run in."""
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
    """The norm that is being measured has seen this tile."""


class _FixedNorm(nn.Module):
    """A norm of groups of channels whose mean and variance are gathered over tiles first; in float32, rounded once."""

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
        """Normalized, once the statistics are known."""
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
        """All tiles were seen."""
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
    """A copy, and its norms in the order they are run in."""
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
    """Where what is kept lies in features of the tile, whatever their resolution."""
    top, left, bottom, right = tile.outer
    down, across = (bottom - top) / shape[0], (right - left) / shape[1]  # pixels a position
    rows = slice(round((tile.top - top) / down), round((tile.bottom - top) / down))
    return rows, slice(round((tile.left - left) / across), round((tile.right - left) / across))
