"""Image grid: one row for each image, one column for each method, with its name above."""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from cyclegan.images.tensors import from_bytes, grid, to_bytes

GAP = 4  # px between images
LOW = 160  # px: if no image is this high, all are doubled
LETTERS = 18  # px of height of the titles
BAND = 30  # px of height of their background


def image_grid(columns: Mapping[str, Sequence[UInt8[np.ndarray, "_ _ 3"]]]) -> UInt8[np.ndarray, "h w 3"]:
    """Combine images into one image, on white.

    A row is as high as its highest image; all columns are as wide as the widest image.
    """
    rows = list(zip(*columns.values(), strict=True))
    width = max(picture.shape[1] for row in rows for picture in row)
    low = max(picture.shape[0] for row in rows for picture in row) < LOW
    strips = [_strip(row, width, scale=2 if low else 1) for row in rows]
    below = [strip[GAP:] for strip in strips[1:]]  # the gap below the previous strip serves as the gap above
    return np.concatenate([titles(list(columns), strips[0].shape[1]), strips[0], *below])


def _strip(row: Sequence[np.ndarray], width: int, scale: int) -> UInt8[np.ndarray, "h w 3"]:
    """One row of the grid, enlarged without smoothing."""
    height = max(picture.shape[0] for picture in row)
    missing = (((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)) for picture in row)
    framed = (np.pad(picture, at, constant_values=255) for picture, at in zip(row, missing, strict=True))
    enlarged = [from_bytes(picture.repeat(scale, axis=0).repeat(scale, axis=1)) for picture in framed]
    return to_bytes(grid(enlarged, gap=GAP))[0].numpy()


def titles(names: Sequence[str], width: int) -> UInt8[np.ndarray, "band w 3"]:
    """Draw names in black on white, each centered in its share of the width; long names are cut."""
    band = Image.new("RGB", (width, BAND), "white")
    font = ImageFont.load_default(LETTERS)
    pen, share = ImageDraw.Draw(band), (width - GAP) / len(names)
    for i, name in enumerate(names):
        text = shortened(drawable(name), font, share - GAP)
        pen.text((GAP / 2 + (i + 0.5) * share, BAND / 2), text, fill="black", font=font, anchor="mm")
    return np.asarray(band)


def drawable(text: str) -> str:
    """Replace letters that Pillow's built-in font lacks.

    Accents are removed, and letters that are not Latin become ?.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode()


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Cut a text to a width in px."""
    if font.getlength(text) <= width:
        return text
    fitting = (n for n in range(len(text) - 1, 0, -1) if font.getlength(f"{text[:n]}...") <= width)
    return f"{text[: next(fitting, 0)]}..."
