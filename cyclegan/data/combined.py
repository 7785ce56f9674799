"""Combined images A|B, as in pix2pix's archives: cut once into trainA, trainB, testA, testB.

Cut        into <folder>-halves next to the folder, losslessly as PNG; a complete set of halves is reused.
Folders    train and val become training images, test becomes test images; without sub-folders, all images
           are training images.
"""

import tempfile
from pathlib import Path

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images.find import find_images, none_found
from cyclegan.images.rgb8 import BadPictureError, read_picture, write_picture

PARTS = {"train": "train", "val": "train", "test": "test"}  # sub-folder of an archive -> split


def split_combined(folder: Path) -> Path:
    """Return the folder of the halves; cut the images first if it does not exist.

    Raises UserError if it holds the halves of other images.
    """
    halves = folder.absolute().with_name(f"{folder.absolute().name}-halves")
    sources = _combined_images(folder)
    names = {f"{part}{side}/{name}" for part, name in sources for side in "AB"}
    if halves.exists():
        if names != {path.relative_to(halves).as_posix() for path in find_images(halves)}:
            raise UserError(f"{halves}: does not hold the halves of {folder}; remove it, and they are cut anew")
        return halves
    with tempfile.TemporaryDirectory(dir=halves.parent, suffix=".part") as place:
        built = Path(place) / halves.name
        for (part, name), path in sources.items():
            for side, half in zip("AB", _halves(path), strict=True):
                write_picture(built / f"{part}{side}" / name, half)
        built.rename(halves)
    return halves


def images_by_name(folder: Path, arrays: bool = False) -> dict[str, Path]:
    """Return images by relative name without suffix. Raises UserError for two images with one name."""
    found: dict[str, Path] = {}
    for path in find_images(folder, arrays):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{path}: has the name of {found[name].name}, and pairs are matched by name; rename one")
        found[name] = path
    return found


def _combined_images(folder: Path) -> dict[tuple[str, str], Path]:
    """Return images by (split, name of the halves)."""
    images = images_by_name(folder)
    if not images:
        raise none_found(folder)
    parts = {name: PARTS.get(name.partition("/")[0], "train") for name in images}
    return {(part, f"{name.replace('/', '_')}.png"): images[name] for name, part in parts.items()}


def _halves(path: Path) -> list[np.ndarray]:
    image = read_picture(path)
    width = image.shape[1]
    if width % 2:
        raise BadPictureError(f"{path}: is {width} px wide, which are not two halves; remove or replace it")
    return np.split(image, 2, axis=1)
