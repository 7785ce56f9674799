"""Near-duplicate images: a test image that was also trained on measures nothing.

Near   Two images whose grey values, reduced to 32×32, correlate to more than .99. Near-duplicates are found
       after resizing, JPEG compression and changes of color or brightness, but not after cropping or
       rotation. The usual difference hash of 64 bits confuses one sunset with another: at 4 bits, all of its
       finds among the photographs of monet2photo were different images.
Flat   Images with almost no structure correlate by chance and are never counted as near-duplicates.
Cost   Every image is compared with every other one, in blocks: memory grows with the number of images (4 kB
       each), not with its square.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from cyclegan.images.rgb8 import read_picture

SIDE = 32  # pixels
NEAR = 0.99
BLOCK = 512  # images
FLAT = 2.0  # grey levels of standard deviation below which an image is flat


def near_duplicates(pictures: Sequence[Path], others: Sequence[Path]) -> dict[Path, Path]:
    """Map each image that is nearly the same as one of the others to that other."""
    if not pictures or not others:
        return {}
    found = nearest(shapes(map(read_picture, pictures)), shapes(map(read_picture, others)))
    return {pictures[picture]: others[other] for picture, other in found.items()}


def nearest(pictures: Float32[np.ndarray, "n pixels"], others: Float32[np.ndarray, "m pixels"]) -> dict[int, int]:
    """Map each image that is nearly the same as one of the others to the nearest of these.

    Both are given by their positions.
    """
    found: dict[int, int] = {}
    for start, block in _blocks(pictures):
        correlations = block @ others.T
        best = correlations.argmax(axis=1)
        for row in np.flatnonzero(correlations.max(axis=1) > NEAR):
            found[start + int(row)] = int(best[row])
    return found


def repeated(pictures: Float32[np.ndarray, "n pixels"]) -> dict[int, int]:
    """Map each image that is nearly the same as an earlier, kept image to that image, both by position.

    All other images are kept. No two kept images are nearly the same, so the keys are the images that could
    be left out.
    """
    found: dict[int, int] = {}
    staying = np.empty_like(pictures)
    positions: list[int] = []  # of the first rows of `staying`; the other rows are unused
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
    """Compute grey values of mean 0 and norm 1, so that products are correlations; zeros for flat images."""
    return np.stack([_shape(picture) for picture in pictures])


def _shape(picture: UInt8[np.ndarray, "_ _ 3"]) -> Float32[np.ndarray, " pixels"]:
    small = Image.fromarray(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float64).ravel()
    centered = grey - grey.mean()
    if centered.std() < FLAT:
        centered = np.zeros_like(centered)
    return (centered / max(1.0, float(np.linalg.norm(centered)))).astype(np.float32)


def _blocks(pictures: Float32[np.ndarray, "n pixels"]) -> Iterator[tuple[int, Float32[np.ndarray, "_ pixels"]]]:
    """Iterate over the images in blocks, each with the position of its first image."""
    for start in range(0, len(pictures), BLOCK):
        yield start, pictures[start : start + BLOCK]
