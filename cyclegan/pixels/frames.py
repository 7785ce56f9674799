"""Files of more than one image ↔ rasters: animations (GIF, WebP, APNG) and TIFF files of several pages.

Frames    come composed, as a viewer shows them: all of one size, with alpha where nothing was drawn. They are written
          with the durations and the number of loops they came with, and 8 bits a channel. Encoders may merge equal
          frames in a row into one that is shown as long.
Pages     have sizes, types, profiles and resolutions of their own. Thumbnails and masks beside them are no pages.
Others    hold one image. Of the several of an MPO, as telephones call .jpg, the others are previews of the first.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from cyclegan.pictures import FORMATS, BadPictureError, described, open_picture, reading, require_size
from cyclegan.pixels import arrays
from cyclegan.pixels.files import decoded, fitted, is_tiff, reduced_to_8_bits, stored, tags_of
from cyclegan.pixels.gif import as_palette
from cyclegan.pixels.kind import RGB, Kind
from cyclegan.pixels.raster import Raster

ANIMATED = {"GIF", "PNG", "WEBP"}  # formats
MAX_TOTAL_PIXELS = 250_000_000  # of all frames together, as all are in memory when they are written: 120 of 1920×1080
HOW: dict[str, dict[str, Any]] = {
    "GIF": {"disposal": 2},
    "PNG": {"disposal": 0, "blend": 0},
    "WEBP": {"lossless": True},
}


def count_frames(path: Path, kind: Kind = RGB) -> int:
    """Number of frames or pages of a file of a kind; 1 if the file cannot be read, which is reported on reading."""
    try:
        if not path.is_file():  # of a pipe, reading might never end
            return 1
        if is_tiff(path):
            return len(arrays.pages_of(path, 1 if kind.is_rgb else kind.channels))
        with open_picture(path) as picture:
            return getattr(picture, "n_frames", 1) if picture.format in ANIMATED else 1
    except (BadPictureError, OSError):
        return 1


def can_hold_frames(target: Path, source: Path) -> bool:
    """Check whether the format of the target has room for all frames or pages of the source."""
    form = FORMATS.get(target.suffix.lower())
    return form == "TIFF" or (form in ANIMATED and not is_tiff(source))


def read_frames(path: Path, kind: Kind) -> Iterator[Raster]:
    """Frames or pages in their order, one at a time. Raises BadPictureError for a file that cannot be read."""
    with reading(path, path):
        frames = _pages(path, kind) if is_tiff(path) else _composed(path, kind)
        yield from (fitted(frame, kind) for frame in frames)


def write_frames(path: Path, frames: Iterable[Raster], about: str) -> None:
    """Write in the format of the suffix: GIF, PNG or WebP with the timing of the frames, or TIFF page by page."""
    form = FORMATS[path.suffix.lower()]
    if form != "TIFF":
        return _write_animation(path, form, list(frames), about)
    for number, page in enumerate(frames):
        arrays.write_tiff(path, page.values, page.alpha, page.tags, about, append=number > 0)
    return None


def _pages(path: Path, kind: Kind) -> Iterator[Raster]:
    for page in arrays.pages_of(path):
        yield stored(path, kind.channels, page)


def _composed(path: Path, kind: Kind) -> Iterator[Raster]:
    with open_picture(path) as picture:
        count = getattr(picture, "n_frames", 1)
        if count * picture.width * picture.height > MAX_TOTAL_PIXELS:
            size = f"{count} frames of {picture.width}×{picture.height}"
            raise BadPictureError(f"{path}: {size} are more than {MAX_TOTAL_PIXELS:,} pixels; make a film of them")
        for number in range(count):
            picture.seek(number)
            picture.load()  # which tells the duration
            require_size(path, picture)  # a frame of a GIF may be larger than the first
            yield decoded(ImageOps.exif_transpose(picture), kind.channels, tags_of(picture))


def _write_animation(path: Path, form: str, frames: Sequence[Raster], about: str) -> None:
    first, *others = _as_images(frames, form)
    tags = frames[0].tags
    options: dict[str, Any] = {"icc_profile": tags.icc, "loop": tags.loop, **HOW[form]}
    options |= {"comment": about} if form == "GIF" else {"exif": described(about)}
    options["duration"] = [frame.tags.duration or 0 for frame in frames if not frame.tags.still]
    if form == "PNG":
        options["default_image"] = tags.still
    given = {name: value for name, value in options.items() if value is not None}
    first.save(path, form, save_all=True, append_images=others, **given)


def _as_images(frames: Sequence[Raster], form: str) -> list[Image.Image]:
    """Images of one mode: with alpha, if one of them has any."""
    values = [reduced_to_8_bits(frame.values) for frame in frames]
    alphas = [None if frame.alpha is None else reduced_to_8_bits(frame.alpha) for frame in frames]
    if any(alpha is not None for alpha in alphas):
        alphas = [
            np.full(value.shape[:2], 255, np.uint8) if alpha is None else alpha
            for value, alpha in zip(values, alphas, strict=True)
        ]
    pairs = list(zip(values, alphas, strict=True))
    if form == "GIF":
        return [as_palette(value, alpha) for value, alpha in pairs]
    return [Image.fromarray(_stacked(value, alpha)) for value, alpha in pairs]


def _stacked(values: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """(h, w) for a single channel, (h, w, c) for several, (h, w, c + 1) with alpha."""
    if alpha is not None:
        return np.dstack([values, alpha])
    return values[..., 0] if values.shape[2] == 1 else values
