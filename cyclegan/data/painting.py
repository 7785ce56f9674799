"""Stylizers of the built-in domains: deterministic, so the true translation of a photograph is known.

`paint`    the domain painting: flattening, cool shadows and warm lights, ink, and a hue that depends on
           contrast
`palette`  an easier task: flattening, eight colors of paint, and less ink
`tint`     the easiest task: a curve for each channel, nearly equal to a linear map of the colors

Images     float64 (h, w, 3), RGB in [0, 1] → the same shape and range.
Field      25 pixels across: the wider Gaussian reaches 12 pixels from its center (`palette`: 11, `tint`: 1).
Shifts     Equivariant: shifting a photograph shifts its painting, except at the borders, which are reflected.
"""

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter, sobel

RADIUS = 3  # the Kuwahara windows are RADIUS + 1 pixels wide
LEVELS = 6  # of posterized luma
SHADOW, LIGHT = np.array([-0.06, -0.02, 0.14]), np.array([0.06, 0.03, -0.10])
INK = np.array([0.16, 0.08, 0.30])
BUSY, CALM = np.array([-0.16, 0.06, 0.10]), np.array([0.07, 0.05, -0.06])
PAINTS = np.array(  # of `palette`: black, indigo, brown, viridian, orange, mauve, ochre, white
    [
        [0.05, 0.10, 0.15],
        [0.20, 0.20, 0.35],
        [0.45, 0.20, 0.10],
        [0.20, 0.45, 0.40],
        [0.80, 0.40, 0.25],
        [0.55, 0.45, 0.55],
        [0.80, 0.75, 0.60],
        [0.90, 0.85, 0.95],
    ]
)
SOFTNESS = 0.025  # squared distance between colors at which a paint counts e times less
GAMMA = 1.4  # of `tint`


def paint(image: np.ndarray) -> np.ndarray:
    """Stylize a photograph as a painting."""
    flat = kuwahara(image)
    return hue_by_contrast(ink(shade(flat, posterize(luma(flat))), image, strength=0.75), image)


def palette(image: np.ndarray) -> np.ndarray:
    """Render the photograph k in eight paint colors c, mixed softly; then add ink.

    The mixture is Σ w c / Σ w with w = exp(−‖k − c‖² / SOFTNESS).
    """
    distances = np.square(kuwahara(image)[..., None, :] - PAINTS).sum(axis=-1)
    weights = np.exp(-distances / SOFTNESS)
    return ink(weights @ PAINTS / weights.sum(axis=-1, keepdims=True), image, strength=0.5)


def tint(image: np.ndarray) -> np.ndarray:
    """Map (R, G, B) → (R^(1/γ), G, B^γ): warmer. Exchanging red and blue gives the inverse map."""
    return image ** np.array([1 / GAMMA, 1.0, GAMMA])


def luma(image: np.ndarray) -> np.ndarray:
    """Step 1: ℓ = .299 R + .587 G + .114 B."""
    return 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]


def kuwahara(image: np.ndarray) -> np.ndarray:
    """Step 2: the mean color of the window with the smallest variance of luma.

    The four windows each have the pixel at a corner.
    """
    light = luma(image)
    corners = [(down, right) for down in (False, True) for right in (False, True)]
    means = np.stack([_window_mean(image, *corner) for corner in corners])
    variances = np.stack([_window_mean(light**2, *corner) - _window_mean(light, *corner) ** 2 for corner in corners])
    # Rounded, so that equal variances are equal on every machine: the first of them is chosen.
    calmest = variances.round(12).argmin(axis=0)
    return np.take_along_axis(means, calmest[None, ..., None], axis=0)[0]


def posterize(light: np.ndarray) -> np.ndarray:
    """Step 3: L' = (⌊nL⌋ + sigmoid(12 (nL − ⌊nL⌋ − ½))) / n, a staircase of n levels with rounded edges."""
    level = np.floor(LEVELS * light)
    edge = 1 / (1 + np.exp(-12 * (LEVELS * light - level - 0.5)))
    return ((level + edge) / LEVELS).clip(0, 1)


def shade(flat: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """Step 4: y = L'^.85 + 1.35 (k − L) + (1 − L') SHADOW + L' LIGHT, cool shadows and warm lights."""
    color, tone = flat - luma(flat)[..., None], tone[..., None]
    return (tone**0.85 + 1.35 * color + (1 - tone) * SHADOW + tone * LIGHT).clip(0, 1)


def ink(painted: np.ndarray, image: np.ndarray, strength: float) -> np.ndarray:
    """Step 5: y ← y (1 − e) + INK e on the edges, e = strength · (1 − exp(−4 (7 |∇|)²))."""
    smooth = gaussian_filter(luma(image), sigma=1)
    slope = np.hypot(sobel(smooth, axis=0), sobel(smooth, axis=1)) / 8
    cover = strength * (1 - np.exp(-4 * (7 * slope) ** 2))[..., None]
    return (painted * (1 - cover) + INK * cover).clip(0, 1)


def hue_by_contrast(painted: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Step 6: y ← y + a BUSY + (1 − a) CALM, a = 1 − exp(−(s/.07)²).

    s is the local standard deviation of luma.
    """
    light = luma(image)
    variance = gaussian_filter(light**2, sigma=3) - gaussian_filter(light, sigma=3) ** 2
    busy = (1 - np.exp(-variance.clip(0) / 0.07**2))[..., None]
    return (painted + busy * BUSY + (1 - busy) * CALM).clip(0, 1)


def _window_mean(values: np.ndarray, down: bool, right: bool) -> np.ndarray:
    """Average over the pixel and the RADIUS rows and columns before or after it."""
    weights = np.full(RADIUS + 1, 1 / (RADIUS + 1))
    middle = len(weights) // 2
    for axis, forward in enumerate((down, right)):
        # correlate1d sums each window separately; a running sum would carry rounding errors between pixels.
        values = correlate1d(values, weights, axis=axis, origin=-middle if forward else len(weights) - 1 - middle)
    return values
