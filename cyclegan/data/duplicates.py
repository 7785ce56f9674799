"""Pictures that are nearly the same: a test picture that was also trained on tells nothing.

Near   The grey values of two pictures, reduced to 32×32, correlate to more than .99. Survives resizing, JPEG and
       changes of color or brightness; not cropping or turning. The usual difference hash of 64 bits takes one sunset
       for another: at 4 bits all of its finds among the photographs of monet2photo were different pictures.
Flat   Pictures with almost no shape correlate by chance and are near to none.
Cost   Every picture is compared with every other one, in blocks: memory grows with the number of pictures (4 kB each),
       not with its square.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from cyclegan.images.rgb8 import read_picture

SIDE = 32  # pixels
NEAR = 0.99
BLOCK = 512  # pictures
FLAT = 2.0  # grey levels of deviation below which there is no shape


def near_duplicates(pictures: Sequence[Path], others: Sequence[Path]) -> dict[Path, Path]:
    """Each of the pictures that is nearly one of the others → that other."""
    if not pictures or not others:
        return {}
    found = nearest(shapes(map(read_picture, pictures)), shapes(map(read_picture, others)))
    return {pictures[picture]: others[other] for picture, other in found.items()}


def nearest(pictures: Float32[np.ndarray, "n pixels"], others: Float32[np.ndarray, "m pixels"]) -> dict[int, int]:
    """Position of each of the pictures that is nearly one of the others → position of the nearest of these."""
    found: dict[int, int] = {}
    for start, block in _blocks(pictures):
        correlations = block @ others.T
        best = correlations.argmax(axis=1)
        for row in np.flatnonzero(correlations.max(axis=1) > NEAR):
            found[start + int(row)] = int(best[row])
    return found


def repeated(pictures: Float32[np.ndarray, "n pixels"]) -> dict[int, int]:
    """Position of each picture that is nearly an earlier one that stays → position of that one.

    All others stay: no two of them are nearly the same, so that these are the pictures that could be left out.
    """
    found: dict[int, int] = {}
    staying = np.empty_like(pictures)
    positions: list[int] = []  # of the first rows of `staying`; the others are not in use
    for start, block in _blocks(pictures):
        before = block @ staying[: len(positions)].T > NEAR
        within = block @ block.T > NEAR
        stays = np.zeros(len(block), dtype=bool)
        for row in range(len(block)):
            if before[row].any():
                found[start + row] = positions[before[row].argmax()]
            elif (within[row] & stays).any():
                found[start + row] = start + int((within[row] & stays).argmax())
            else:
                stays[row] = True
        staying[len(positions) : len(positions) + stays.sum()] = block[stays]
        positions += (start + np.flatnonzero(stays)).tolist()
    return found


def shapes(pictures: Iterable[UInt8[np.ndarray, "_ _ 3"]]) -> Float32[np.ndarray, "n pixels"]:
    """Grey values without mean and of length 1, so that products are correlations; zeros where there is no shape."""
    return np.stack([_shape(picture) for picture in pictures])


def _shape(picture: UInt8[np.ndarray, "_ _ 3"]) -> Float32[np.ndarray, " pixels"]:
    small = Image.fromarray(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float64).ravel()
    centered = grey - grey.mean()
    if centered.std() < FLAT:
        centered = np.zeros_like(centered)
    return (centered / max(1.0, float(np.linalg.norm(centered)))).astype(np.float32)


def _blocks(pictures: Float32[np.ndarray, "n pixels"]) -> Iterator[tuple[int, Float32[np.ndarray, "_ pixels"]]]:
    """Some of the pictures after the others, each time with the position of the first."""
    for start in range(0, len(pictures), BLOCK):
        yield start, pictures[start : start + BLOCK]
