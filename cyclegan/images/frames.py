"""Files of several images ↔ rasters: animations (GIF, WebP, APNG) and TIFF files of several pages.

Frames    are read fully composed, as a viewer shows them: all of one size, with alpha where nothing is drawn.
          They are written with their original durations and number of loops, at 8 bits a channel. Encoders
          may merge equal consecutive frames into one of the same total duration.
Pages     have sizes, types, profiles and resolutions of their own. Thumbnails and masks are no pages.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cyclegan.errors import with_filename
from cyclegan.images import tiff
from cyclegan.images.files import NPY, alpha_of, as_kind, options_of
from cyclegan.images.formats import FORMATS, head_of, open_binary, open_with_pillow
from cyclegan.images.pillow import frames_of, read_animation, save_with_pillow, to_8_bit
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.raster import Raster, joined

ANIMATED = {"GIF", "PNG", "WEBP"}  # formats


def count_frames(path: Path, kind: PixelFormat = RGB, content: bytes | None = None) -> int:
    """Return the number of frames or pages of a file; `content` and errors as in `read_raster`."""
    with open_binary(path, content) as file:
        head = head_of(file)
        if head.startswith(NPY):
            return 1
        if head.startswith(tiff.STARTS):
            return tiff.count_pages(file, kind.channels)
        with open_with_pillow(file) as picture:
            return frames_of(picture)


def holds_frames(target: Path, source: Path) -> bool:
    """Return whether the format of the target can hold all frames or pages of the source."""
    form = FORMATS.get(target.suffix.lower())
    return form == "TIFF" or (form in ANIMATED and not is_tiff(source))


def is_tiff(path: Path) -> bool:
    """Return whether the first bytes of a file are those of TIFF, whatever its name."""
    with open_binary(path) as file:
        return head_of(file).startswith(tiff.STARTS)


def read_frames(path: Path, kind: PixelFormat) -> Iterator[Raster]:
    """Read frames or pages in order, one at a time; errors as in `read_raster`."""
    with open_binary(path) as file:
        read = tiff.read_pages if head_of(file).startswith(tiff.STARTS) else read_animation
        for raster in read(file, kind.channels):
            yield as_kind(raster, kind)


def write_frames(path: Path, frames: Iterable[Raster], about: str) -> None:
    """Write frames as GIF, PNG or WebP with their timing, or pages as TIFF, according to the suffix."""
    form = FORMATS[path.suffix.lower()]
    with with_filename(path):
        if form != "TIFF":
            return _write_animation(path, form, list(frames), about)
        for number, page in enumerate(frames):
            tiff.write_tiff(path, page.values, alpha_of(page), page.tags, about, append=number > 0)
    return None


def _write_animation(path: Path, form: str, frames: Sequence[Raster], about: str) -> None:
    values, first = _of_one_mode(frames), frames[0]
    options: dict[str, Any] = options_of(first.tags, first.values.shape[2], form)
    options["duration"] = [frame.tags.duration or 0 for frame in frames if not frame.tags.still]
    if first.tags.loop is not None:
        options["loop"] = first.tags.loop
    if form == "PNG":
        options["default_image"] = first.tags.still
    save_with_pillow(path, values, form, about, **options)


def _of_one_mode(frames: Sequence[Raster]) -> list[np.ndarray]:
    """Convert frames to 8 bits a channel, with alpha in all frames if any frame has it."""
    values = [to_8_bit(frame.values) for frame in frames]
    if all(frame.alpha is None for frame in frames):
        return values
    return [
        joined(value, np.full(value.shape[:2], 255, np.uint8) if frame.alpha is None else to_8_bit(frame.alpha))
        for value, frame in zip(values, frames, strict=True)
    ]
