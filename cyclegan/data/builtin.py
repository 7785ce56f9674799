"""Built-in domains: seven photographs from the scikit-image wheel and their paintings, without a download.

Each image is cut into blocks of 80 pixels, and each block has one role: a training photograph (trainA), a
training painting (trainB), or a test block, of which both the photograph (testA) and the painting (testB,
under the same name) are kept. The roles alternate within every image, so both sides show the same content
and yet share no pixel: training is unpaired, and the correct translation of each test image is known.

Folders    trainA trainB testA testB with 80, 80, 40 and 40 files <image>_<row>_<column>.png.
Stylized   as whole images, which are cut afterwards: a block has no border of its own.
Checked    by a SHA-256 over names and pixels, which is stored in the card of the domain.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from cyclegan.data.painting import paint, palette, tint
from cyclegan.errors import UserError
from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import read_picture, write_picture

Painter: TypeAlias = Callable[[np.ndarray], np.ndarray]

MAKERS: dict[str, Painter] = {"painting": paint, "palette": palette, "tint": tint}
PHOTOGRAPHS = {  # file in the wheel -> its shorter side, in pixels
    "astronaut.png": 448,
    "chelsea.png": 300,
    "coffee.png": 400,
    "rocket.jpg": 400,
    "motorcycle_left.png": 448,
    "ihc.png": 448,
    "retina.jpg": 448,
}
BLOCK = 80
ROLES = (("trainA",), ("trainB",), ("trainA",), ("trainB",), ("testA", "testB"))  # folders of a block
PAIRED_ROLES = (*(4 * [("trainA", "trainB")]), ("testA", "testB"))  # of a data set of pairs


def make(maker: str, folder: Path, sha256: str, paired: bool = False) -> None:
    """Build the domain of a maker, completely or not at all; an existing folder is only verified.

    paired  Every training block is stored with its painting.
    """
    if maker not in MAKERS:
        raise UserError(f"maker '{maker}' is not one of {', '.join(MAKERS)}")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".part") as room:
            built = Path(room) / folder.name
            _write_blocks(MAKERS[maker], built, PAIRED_ROLES if paired else ROLES)
            _require(checksum(built), sha256, f"{maker}: made other pictures than the card's; use scikit-image 0.26")
            _move(built, folder)
    verify(folder, sha256)


def verify(folder: Path, sha256: str) -> None:
    """Refuse a folder whose images differ from those of the card.

    The folder is not rebuilt: it may hold a user's own files.
    """
    _require(checksum(folder), sha256, f"{folder}: not the pictures of the card; delete the folder and make it again")


def checksum(folder: Path) -> str:
    """Compute the SHA-256 of all images below a folder: relative name, size and pixels, sorted by name."""
    digest = hashlib.sha256()
    for path in find_images(folder):
        pixels = read_picture(path)
        digest.update(f"{path.relative_to(folder).as_posix()} {pixels.shape}\n".encode())
        digest.update(pixels.tobytes())
    return digest.hexdigest()


def _require(found: str, wanted: str, message: str) -> None:
    if found != wanted:
        raise UserError(f"{message} (sha256 {found}, not {wanted})")


def _write_blocks(painter: Painter, folder: Path, roles: Sequence[Sequence[str]]) -> None:
    """Cut every photograph and its painting into blocks, and write each block to the folders of its role."""
    for order, (name, shorter_side) in enumerate(PHOTOGRAPHS.items()):
        photograph = open_photograph(name, shorter_side)
        painting = (painter(photograph / 255) * 255).round().astype(np.uint8)
        for row, column in np.ndindex(photograph.shape[0] // BLOCK, photograph.shape[1] // BLOCK):
            block = np.s_[BLOCK * row : BLOCK * (row + 1), BLOCK * column : BLOCK * (column + 1)]
            for side in roles[(2 * row + column + order) % len(roles)]:
                picture = photograph if side.endswith("A") else painting
                write_picture(folder / side / f"{Path(name).stem}_{row}_{column}.png", picture[block])


def open_photograph(name: str, shorter_side: int) -> np.ndarray:
    """Return a photograph of the wheel as uint8 (h, w, 3), resized to the given shorter side."""
    with as_file(files("skimage") / "data" / name) as path:
        picture = Image.fromarray(read_picture(path))
    scale = shorter_side / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _move(built: Path, folder: Path) -> None:
    """Move a built folder to its final path, unless another process has already done so."""
    try:
        built.rename(folder)
    except OSError:
        if not folder.exists():
            raise
