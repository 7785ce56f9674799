"""Pictures that are nearly the same: a test picture that was also trained on tells nothing.

Near   The grey values of two pictures, reduced to 32×32, correlate to more than .99. Survives resizing, JPEG and
       changes of color or brightness; not cropping or turning. The usual difference hash of 64 bits takes one sunset
       for another: at 4 bits all of its finds among the photographs of monet2photo were different pictures.
Flat   Pictures with almost no shape correlate by chance and are near to none.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cyclegan.pictures import read_picture

SIDE = 32  # pixels
NEAR = 0.99
BLOCK = 512  # pictures
FLAT = 2.0  # grey levels of deviation below which there is no shape


def near_duplicates(pictures: Sequence[Path], others: Sequence[Path]) -> dict[Path, Path]:
    """Each of the pictures that is nearly one of the others → that other."""
    if not pictures or not others:
        return {}
    resemblance = shapes(map(read_picture, pictures)) @ shapes(map(read_picture, others)).T
    nearest = zip(pictures, resemblance.argmax(axis=1), resemblance.max(axis=1), strict=True)
    return {picture: others[other] for picture, other, correlation in nearest if correlation > NEAR}


def pairs(shapes: Float[np.ndarray, "n pixels"]) -> Iterator[tuple[int, int]]:
    """The positions i < j of any two that are nearly the same; in blocks, as thousands by thousands do not fit."""
    for start in range(0, len(shapes), BLOCK):
        for i, j in np.argwhere(shapes[start : start + BLOCK] @ shapes[start:].T > NEAR):
            if i < j:
                yield start + int(i), start + int(j)


def shapes(pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> Float[np.ndarray, "n pixels"]:
    """Grey values without mean and of length 1, so that products are correlations; zeros where there is no shape."""
    small = [Image.fromarray(each).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for each in pictures]
    grey = np.stack([np.asarray(picture, dtype=np.float64).ravel() for picture in small])
    centered = grey - grey.mean(axis=1, keepdims=True)
    shaped = centered.std(axis=1, keepdims=True) >= FLAT
    return np.where(shaped, centered, 0) / np.linalg.norm(centered, axis=1, keepdims=True).clip(min=1)
