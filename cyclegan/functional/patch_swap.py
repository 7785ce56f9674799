"""Style swap: replace every patch of a feature map by the most similar patch of another one.

Paper      Chen, Schmidt, Fast patch-based style transfer of arbitrary style, 2016, arXiv:1612.04337, Sec. 3.1.
Computes   φ^ss_i(C, S) = argmax over the patches φ_j(S) of ⟨φ_i(C), φ_j(S)⟩ / (‖φ_i(C)‖ ‖φ_j(S)‖)     (Eq. 1)
           for every patch i of the content; overlapping patches are averaged. ‖φ_i(C)‖ does not change the
           argmax and is left out; 1e-8 is added to ‖φ_j(S)‖.
Shapes     content (n, c, h, w), style (n or 1, c, H, W), patches of size × size without padding: sides are at
           least `size`. A position of the result is the average of as many patches as contain it.
Memory     The similarities of all pairs of patches, h · w · H · W numbers, are computed in bands of rows of the
           content, each of at most `most` numbers. Only the position of the best patch is kept.
Differs    from convolution with the patches: similarities are sums over size² offsets of the products of two
           positions, which takes size² times fewer multiplications; the result is the same but for rounding.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from cyclegan.functional.precision import at_least_float32

MOST = 2**24  # products at a time: 64 MB in float32
SMALL = 1e-8  # added to the norms of the patches of the style


def swap_patches(
    content: Float[Tensor, "n c h w"],
    style: Float[Tensor, "_ c _ _"],
    size: int = 3,
    stride: int = 1,
    most: int = MOST,
) -> Float[Tensor, "n c h w"]:
    """Replace each patch of the content by the nearest patch of its style, and average where they overlap.

    stride  Step in positions between the patches of the style, in both directions; other than 1 it leaves
            patches out.
    """
    styles = style.expand(len(content), -1, -1, -1)
    return torch.stack([_swapped(*pair, size, stride, most) for pair in zip(content, styles, strict=True)])


def nearest_patches(
    content: Float[Tensor, "c h w"], style: Float[Tensor, "c _ _"], size: int = 3, stride: int = 1, most: int = MOST
) -> tuple[Int64[Tensor, "rows columns"], Int64[Tensor, "rows columns"]]:
    """Find the nearest patch of the style for each patch of the content (Eq. 1).

    Returns row and column of its first position, each (h − size + 1, w − size + 1). Of equally near patches
    the first is taken.
    """
    with torch.autocast(content.device.type, enabled=False):
        content, style = at_least_float32(content), at_least_float32(style)
        squares = _windows(style.square().sum(dim=0), size)[::stride, ::stride]
        scale = 1 / (squares.sqrt() + SMALL)
        rows = max(1, most // (content.shape[2] * style[0].numel()) - size + 1)
        bands = range(0, content.shape[1] - size + 1, rows)
        best = [_best(content[:, top : top + rows + size - 1], style, scale, size, stride) for top in bands]
    index = torch.cat(best)
    width = scale.shape[1]
    return index // width * stride, index % width * stride


def _swapped(content: Tensor, style: Tensor, size: int, stride: int, most: int) -> Tensor:
    """Put the nearest patches together, one position of all patches at a time."""
    row, column = nearest_patches(content, style, size, stride, most)
    total, count = torch.zeros_like(content), torch.zeros_like(content[:1])
    height, width = row.shape
    for i in range(size):
        for j in range(size):
            total[:, i : i + height, j : j + width] += style[:, row + i, column + j]
            count[:, i : i + height, j : j + width] += 1
    return total / count


def _best(band: Tensor, style: Tensor, scale: Tensor, size: int, stride: int) -> Int64[Tensor, "rows columns"]:
    """Return the number of the nearest patch for each patch of a band of rows."""
    products = (band.flatten(1).T @ style.flatten(1)).view(*band.shape[1:], *style.shape[1:])
    along_rows = _diagonal_sums(products.transpose(0, 1).transpose(2, 3), size).transpose(0, 1).transpose(2, 3)
    similar = _diagonal_sums(along_rows, size)[:, :, ::stride, ::stride] * scale
    return similar.flatten(2).argmax(dim=2)


def _diagonal_sums(products: Float[Tensor, "a _ b _"], size: int) -> Float[Tensor, "_ _ _ _"]:
    """Sum products[a + i, :, b + i] over i from 0 to size − 1: (a, …, b, …) → (a − size + 1, …, b − size + 1, …)."""
    a, b = products.shape[0] - size + 1, products.shape[2] - size + 1
    total = products[:a, :, :b]
    for i in range(1, size):
        total = total + products[i : i + a, :, i : i + b]
    return total


def _windows(numbers: Float[Tensor, "_ _"], size: int) -> Float[Tensor, "_ _"]:
    """Sum the numbers of every window of size × size."""
    return numbers.unfold(0, size, 1).unfold(1, size, 1).sum(dim=(2, 3))
