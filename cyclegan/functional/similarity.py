"""MS-SSIM: structural similarity of two images at several scales.

Paper      Wang, Simoncelli, Bovik, Multi-scale structural similarity for image quality assessment, 2003, Eq.
           7.
Computes   l_M(x, y)^w_M Π_j cs_j(x, y)^w_j over scales j = 1 … M, each half of the one before: l compares
           brightness, cs contrast and structure, as means over all positions of a Gaussian window of 11
           pixels, σ = 1.5.
Scales     five, with the paper's weights; images of less than 176 pixels a side have room for fewer, whose
           weights are made to sum to 1. 1: equal; negative structure at a scale counts as none, as its
           fractional powers are undefined.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the paper's weights, finest first
WINDOW, SIGMA = 11, 1.5  # px
K1, K2 = 0.01, 0.03


def scales_for(*sides: int) -> int:
    """Return the number of scales, of the five, that fit into these sides."""
    return max(1, sum(2**scale * WINDOW <= min(sides) for scale in range(len(SCALES))))


def ms_ssim(
    x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"], value_range: float, scales: int
) -> Float[Tensor, "n c"]:
    """Compute MS-SSIM of every channel separately, at most 1; `value_range` is white minus black."""
    weights = SCALES if scales == len(SCALES) else [weight / sum(SCALES[:scales]) for weight in SCALES[:scales]]
    result = torch.ones_like(x[:, :, 0, 0])
    for scale, weight in enumerate(weights):
        brightness, structure = _similarities(x, y, value_range)
        found = brightness * structure if scale == scales - 1 else structure
        result = result * _power(found.mean(dim=(2, 3)), weight)
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)  # an odd last row or column is left out
    return result


def _similarities(
    x: Float[Tensor, "n c h w"], y: Float[Tensor, "n c h w"], value_range: float
) -> tuple[Float[Tensor, "n c _ _"], Float[Tensor, "n c _ _"]]:
    """Return (brightness, contrast and structure) of every window that lies inside."""
    c1, c2 = (K1 * value_range) ** 2, (K2 * value_range) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return brightness, (2 * covariance + c2) / (variance + c2)


def _windowed(values: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
    steps = torch.arange(WINDOW, dtype=values.dtype, device=values.device) - WINDOW // 2
    bell = torch.exp(-0.5 * (steps / SIGMA) ** 2)
    bell = (bell / bell.sum())[None, None]
    planes = conv2d(conv2d(values.flatten(0, 1)[:, None], bell[..., None]), bell[:, :, None])
    return planes.unflatten(0, values.shape[:2])[:, :, 0]


def _power(values: Float[Tensor, "n c"], exponent: float) -> Float[Tensor, "n c"]:
    """Return the power, 0 for values below 0, with a gradient that is finite everywhere."""
    positive = values.clamp(min=torch.finfo(values.dtype).tiny) ** exponent
    return torch.where(values > 0, positive, 0.0)
