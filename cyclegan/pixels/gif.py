"""Palettes for GIF: at most 256 colors an image, of which one is transparency."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

OPAQUE = 128  # alpha from which a pixel is shown; GIF knows no other than all and nothing
CLEAR_INDEX = 255


def as_palette(values: UInt8[np.ndarray, "h w c"], alpha: UInt8[np.ndarray, "h w"] | None = None) -> Image.Image:
    """Image of mode P: exact up to 256 colors (255 beside transparency), else the nearest of as many by median cut."""
    if alpha is None:
        return _rgb(values).quantize(256)
    shown = alpha >= OPAQUE
    values = np.where(shown[..., None], values, values[shown][:1] if shown.any() else 255).astype(np.uint8)
    image = _rgb(values).quantize(CLEAR_INDEX)
    indices = np.where(shown, np.asarray(image), CLEAR_INDEX).astype(np.uint8)
    paletted = Image.fromarray(indices)
    paletted.putpalette((image.getpalette() or []) + [255] * 3 * (256 - len(image.getpalette() or []) // 3))
    paletted.info["transparency"] = CLEAR_INDEX
    return paletted


def _rgb(values: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).convert("RGB")
