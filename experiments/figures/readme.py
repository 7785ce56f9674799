"""The picture at the top of the README: four free photographs, their translations, and what the painter makes of them.

    make figure            after `make train`; writes docs/pictures/photo2painting.jpg

In training the network has seen blocks of these photographs, and painted ones beside them, never a block and its own
painting. Top to bottom: photograph, translation, what the painter would have made of it.
Photographs: astronaut (NASA, public domain), chelsea and coffee (CC0), rocket (SpaceX, public domain).
"""

import sys
from pathlib import Path

import numpy as np
import torch

from cyclegan import load
from cyclegan.data.builtin import PHOTOGRAPHS, open_photograph
from cyclegan.data.painting import paint
from cyclegan.images.tensors import from_bytes, grid, write
from cyclegan.protocols import Images

SHOWN = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
SIDE = 300  # px of the square cut from the middle of each
OUT = Path("docs/pictures/photo2painting.jpg")


def main(run: str) -> None:
    """One column for each photograph: as it is, translated by the run, painted."""
    to_painting = load(run).translator().translate
    columns = []
    for name in SHOWN:
        photograph = open_photograph(name, PHOTOGRAPHS[name])
        painting = (paint(photograph / 255) * 255).round().astype(np.uint8)
        images = from_bytes(photograph), to_painting(from_bytes(photograph)), from_bytes(painting)
        columns.append(torch.cat([middle(image) for image in images]))
    write(OUT, grid(columns, gap=4))
    print(OUT)


def middle(image: Images) -> Images:
    """The square in the middle."""
    top, left = ((size - SIDE) // 2 for size in image.shape[-2:])
    return image[..., top : top + SIDE, left : left + SIDE]


if __name__ == "__main__":
    main(*sys.argv[1:])
