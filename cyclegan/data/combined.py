"""Images that hold a pair side by side, A|B, as pix2pix's archives do: cut once into trainA, trainB, testA, testB.

Cut        into <folder>-halves beside the folder, losslessly as PNG; a complete set of halves is used again.
Folders    train and val become training images, test the test images; without sub-folders all are training images.
"""

import tempfile
from pathlib import Path

import numpy as np

from cyclegan.pictures import BadPictureError, read_picture, write_picture
from cyclegan.pixels.find import find_images, none_found

PARTS = {"train": "train", "val": "train", "test": "test"}  # sub-folder of an archive -> split


def split_combined(folder: Path) -> Path:
    """Return the folder of the halves, cut now if it is not there."""
    halves = folder.absolute().with_name(f"{folder.absolute().name}-halves")
    if halves.exists():
        return halves
    with tempfile.TemporaryDirectory(dir=halves.parent, suffix=".part") as place:
        built = Path(place) / halves.name
        for path in _combined_images(folder):
            part = PARTS.get(path.relative_to(folder).parts[0], "train")
            name = "_".join(path.relative_to(folder).with_suffix(".png").parts)
            for side, half in zip("AB", _halves(path), strict=True):
                write_picture(built / f"{part}{side}" / name, half)
        built.rename(halves)
    return halves


def _combined_images(folder: Path) -> list[Path]:
    images = find_images(folder)
    if not images:
        raise none_found(folder)
    return images


def _halves(path: Path) -> list[np.ndarray]:
    image = read_picture(path)
    width = image.shape[1]
    if width % 2:
        raise BadPictureError(f"{path}: is {width} px wide, which are not two halves; remove or replace it")
    return np.split(image, 2, axis=1)
