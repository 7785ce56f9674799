"""Baselines that a learned translator should beat, and oracles that show the best a simple map can reach.

Baselines  The Monge-Kantorovich color map; a 5×5 median, then that map. They are fitted on the unpaired
           training images, as a learned translator is. Beside the truth also the mean target: one color, the
           mean of the training targets, which has the least squared error of all constants.
Oracles    marked *: the best map of single colors and the best linear filter. They are fitted on the same
           test pairs and pixels that are scored: a translator that beats them has learned more than colors
           (the table) or more than a filter (the convolution).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from scipy.ndimage import median_filter
from torch import Tensor
from torch.nn.functional import conv2d, pad, unfold

from cyclegan.functional.color import LinearMap, color_moments, map_colors, monge_kantorovich
from cyclegan.images.tensors import read
from cyclegan.protocols import Images, Translator

MEDIAN = 5  # pixels across
BINS = 18  # of the color table, for each channel
TAPS = 7  # of the linear filter, in each direction


def fit_baselines(sources: Sequence[Path], targets: Sequence[Path]) -> dict[str, Translator]:
    """Baselines by name, fitted on training images of both sides."""
    target = color_moments(map(read, targets))
    plain = monge_kantorovich(color_moments(map(read, sources)), target)
    flat = monge_kantorovich(color_moments(median(read(path)) for path in sources), target)
    return {"Monge-Kantorovich": ColorMap(plain), "median + Monge-Kantorovich": MedianColorMap(flat)}


def fit_mean_target(targets: Sequence[Path]) -> "MeanTarget":
    """Baseline that ignores its input, fitted on training images of the target."""
    return MeanTarget(color_moments(map(read, targets)).mean)


def fit_oracles(sources: Sequence[Path], truths: Sequence[Path], border: int) -> dict[str, Translator]:
    """Oracles by name, fitted on the test pairs, without `border` pixels around them."""
    return {
        "best per-pixel map*": fit_color_table(sources, truths, border),
        "best linear 7×7*": fit_linear_filter(sources, truths, border),
    }


@dataclass(frozen=True)
class Identity:
    """Translator that returns images unchanged."""

    def translate(self, images: Images) -> Images:
        """Return the images."""
        return images


@dataclass(frozen=True)
class MeanTarget:
    """Constant image of one color, the mean of the target."""

    color: Float[Tensor, "3"]

    def translate(self, images: Images) -> Images:
        """Replace every pixel by the mean color."""
        return self.color.to(images)[:, None, None].expand_as(images)


@dataclass(frozen=True)
class ColorMap:
    """One linear map for all colors."""

    linear_map: LinearMap

    def translate(self, images: Images) -> Images:
        """Map colors, and clip to [-1, 1]."""
        return map_colors(images, self.linear_map).clamp(-1, 1).to(images.dtype)


@dataclass(frozen=True)
class MedianColorMap:
    """5×5 median, which removes texture and keeps edges, then one linear map for all colors."""

    linear_map: LinearMap

    def translate(self, images: Images) -> Images:
        """Flatten, map colors, and clip to [-1, 1]."""
        return ColorMap(self.linear_map).translate(median(images))


@dataclass(frozen=True)
class ColorTable:
    """Table with one color for each of 18³ color bins."""

    colors: Float[Tensor, "bins 3"]

    def translate(self, images: Images) -> Images:
        """Replace every pixel by the color of its bin."""
        return self.colors.to(images)[_bins(images)].movedim(-1, 1)


@dataclass(frozen=True)
class LinearFilter:
    """Convolution of 7×7 pixels and three channels, with a bias."""

    weight: Float[Tensor, "3 3 7 7"]
    bias: Float[Tensor, "3"]

    def translate(self, images: Images) -> Images:
        """Filter with repeated borders, and clip to [-1, 1]."""
        return conv2d(_widened(images), self.weight.to(images), self.bias.to(images)).clamp(-1, 1)


def median(images: Images) -> Images:
    """Median of 5×5 pixels in each channel."""
    return torch.from_numpy(median_filter(images.cpu().numpy(), size=(1, 1, MEDIAN, MEDIAN))).to(images)


def fit_color_table(sources: Sequence[Path], truths: Sequence[Path], border: int) -> ColorTable:
    """Fit the mean true color of each bin; an empty bin keeps the color of its center."""
    count, total = torch.zeros(BINS**3, 1, dtype=torch.float64), torch.zeros(BINS**3, 3, dtype=torch.float64)
    for source, truth in _pairs(sources, truths):
        bins = _inside(_bins(source)[:, None], border).flatten()
        count.index_add_(0, bins, torch.ones(len(bins), 1, dtype=torch.float64))
        total.index_add_(0, bins, _columns(_inside(truth, border)))
    steps = torch.arange(BINS, dtype=torch.float64).add(0.5).mul(2 / BINS).sub(1)
    return ColorTable(torch.where(count > 0, total / count.clamp(min=1), torch.cartesian_prod(steps, steps, steps)))


def fit_linear_filter(sources: Sequence[Path], truths: Sequence[Path], border: int) -> LinearFilter:
    """Fit by least squares over all scored pixels, with the normal equations A w = b."""
    size = 3 * TAPS**2 + 1
    A, b = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, 3, dtype=torch.float64)
    for source, truth in _pairs(sources, truths):
        around = unfold(_widened(source), TAPS).unflatten(-1, source.shape[-2:])
        seen = _columns(_inside(around, border))
        seen = torch.cat([seen, torch.ones(len(seen), 1, dtype=torch.float64)], dim=1)
        A, b = A + seen.mT @ seen, b + seen.mT @ _columns(_inside(truth, border))
    weights = torch.linalg.pinv(A, hermitian=True, rtol=1e-12) @ b  # grey images make A singular
    return LinearFilter(weights[:-1].mT.reshape(3, 3, TAPS, TAPS), weights[-1])


def _pairs(sources: Sequence[Path], truths: Sequence[Path]) -> Iterator[tuple[Images, Images]]:
    return ((read(source).double(), read(truth).double()) for source, truth in zip(sources, truths, strict=True))


def _bins(images: Images) -> Int[Tensor, "n h w"]:
    """Return the bin number of every pixel; 8-bit levels fall into equal bins of 256 / 18."""
    levels = images.add(1).mul(127.5).round()
    red, green, blue = levels.mul(BINS / 256).long().clamp(0, BINS - 1).unbind(dim=1)
    return (red * BINS + green) * BINS + blue


def _inside(images: Tensor, border: int) -> Tensor:
    """Crop the border."""
    return images[..., border : images.shape[-2] - border, border : images.shape[-1] - border]


def _columns(images: Float[Tensor, "1 c h w"]) -> Float[Tensor, "hw c"]:
    """Reshape to one row for each pixel."""
    return images[0].flatten(start_dim=1).mT


def _widened(images: Images) -> Float[Tensor, "n 3 height width"]:
    """Repeat borders by the radius of the filter."""
    return pad(images, (TAPS // 2,) * 4, mode="replicate")
