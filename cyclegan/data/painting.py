"""The painters of the embedded domains: deterministic functions of a photograph, so the right translation is known.

`paint`    the domain painting: flattening, cool shadows and warm lights, ink, and a hue that follows the contrast
`palette`  an easier rung: flattening, eight colors of paint and less ink
`tint`     the easiest rung: a curve for each channel, which a linear map of the colors nearly equals

Images     float64 (h, w, 3), RGB in [0, 1] → the same, in [0, 1] too.
Sees       25 pixels across: the wider Gaussian ends 12 away from its middle (`palette`: 11, `tint`: 1).
Moves      with its input: shifting a photograph shifts its painting, but for the borders, where it is reflected.
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
    """The painting of a photograph."""
    flat = kuwahara(image)
    return hue_by_contrast(ink(shade(flat, posterize(luma(flat))), image, strength=0.75), image)


def palette(image: np.ndarray) -> np.ndarray:
    """The photograph in eight paints c, mixed softly: Σ w c / Σ w with w = exp(−‖k − c‖² / SOFTNESS); then ink."""
    distances = np.square(kuwahara(image)[..., None, :] - PAINTS).sum(axis=-1)
    weights = np.exp(-distances / SOFTNESS)
    return ink(weights @ PAINTS / weights.sum(axis=-1, keepdims=True), image, strength=0.5)


def tint(image: np.ndarray) -> np.ndarray:
    """(R, G, B) → (R^(1/γ), G, B^γ): warmer; its inverse is the same with red and blue exchanged."""
    return image ** np.array([1 / GAMMA, 1.0, GAMMA])


def luma(image: np.ndarray) -> np.ndarray:
    """Step 1: ℓ = .299 R + .587 G + .114 B."""
    return 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]


def kuwahara(image: np.ndarray) -> np.ndarray:
    """Step 2: of the four windows with the pixel at a corner, the mean color of the one whose luma varies least."""
    light = luma(image)
    corners = [(down, right) for down in (False, True) for right in (False, True)]
    means = np.stack([_window_mean(image, *corner) for corner in corners])
    variances = np.stack([_window_mean(light**2, *corner) - _window_mean(light, *corner) ** 2 for corner in corners])
    # Rounded, so that equal variances are equal on every machine: the first of them wins.
    calmest = variances.round(12).argmin(axis=0)
    return np.take_along_axis(means, calmest[None, ..., None], axis=0)[0]


def posterize(light: np.ndarray) -> np.ndarray:
    """Step 3: L' = (⌊nL⌋ + sigmoid(12 (nL − ⌊nL⌋ − ½))) / n, a stair of n levels with round edges."""
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
    """Step 6: y ← y + a BUSY + (1 − a) CALM, a = 1 − exp(−(s/.07)²), s the local standard deviation of luma."""
    light = luma(image)
    variance = gaussian_filter(light**2, sigma=3) - gaussian_filter(light, sigma=3) ** 2
    busy = (1 - np.exp(-variance.clip(0) / 0.07**2))[..., None]
    return (painted + busy * BUSY + (1 - busy) * CALM).clip(0, 1)


def _window_mean(values: np.ndarray, down: bool, right: bool) -> np.ndarray:
    """Over the RADIUS rows and columns before the pixel, or after it, and its own."""
    weights = np.full(RADIUS + 1, 1 / (RADIUS + 1))
    middle = len(weights) // 2
    for axis, forward in enumerate((down, right)):
        # correlate1d sums every window by itself; a running sum would carry rounding from one pixel to the next.
        values = correlate1d(values, weights, axis=axis, origin=-middle if forward else len(weights) - 1 - middle)
    return values
