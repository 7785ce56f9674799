"""Palettes for GIF: at most 256 colors per image, one of which may be transparent."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

OPAQUE = 128  # smallest alpha of a pixel that is shown; in GIF, pixels are opaque or transparent
CLEAR_INDEX = 255


def as_palette(values: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """Convert to an image of mode P with at most 256 colors, 255 if one of them is transparent.

    The conversion is exact if the colors suffice; otherwise the nearest colors of a median cut are used.

    values  1 or 3 channels, or 2 or 4 with alpha.
    """
    if values.shape[2] % 2 or (values[..., -1] >= OPAQUE).all():
        return _rgb(values).quantize(256)
    shown = values[..., -1] >= OPAQUE
    image = _rgb(np.where(shown[..., None], values, values[shown][:1] if shown.any() else 255)).quantize(CLEAR_INDEX)
    paletted = Image.fromarray(np.where(shown, np.asarray(image), CLEAR_INDEX).astype(np.uint8))
    palette = image.getpalette() or []
    paletted.putpalette(palette + [255] * (3 * 256 - len(palette)))
    paletted.info["transparency"] = CLEAR_INDEX
    return paletted


def _rgb(values: np.ndarray) -> Image.Image:
    """Convert (h, w, 1 … 4) to an image without alpha."""
    colors = values[..., :1].repeat(3, axis=2) if values.shape[2] < 3 else values[..., :3]
    return Image.fromarray(np.ascontiguousarray(colors).astype(np.uint8))
