"""Find image files below folders, and report which files are skipped.

Links     Linked folders are followed, each folder once, so that cycles end. A folder that is itself below the
          root keeps its own path, and links to it are left out.
Hidden    files and folders (.name, __MACOSX), which programs write for their own use, are ignored.
Skipped   are all other files, counted by suffix: videos, formats that are not read, text files.
"""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cyclegan.errors import UserError
from cyclegan.images.formats import ARRAY, FORMATS

FILMS = {
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m1v", ".m2t", ".m2ts", ".m2v"),
    *(".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv"),
    *(".ts", ".vob", ".webm", ".wmv"),
}
UNREAD = {".jp2", ".jxl", ".psd", ".svg", ".exr", ".hdr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".raw"}
BROKEN, CLOSED, NAMELESS = "broken links", "folders without permission", "without suffix"
FILM_REMEDY = "name films one by one in `cyclegan translate`, after pip install -r requirements-video.txt"
IMAGE_REMEDY = "convert images to JPEG or PNG"
ARRAY_REMEDY = "arrays are for sides with declared channels or ranges"


class Found(NamedTuple):
    """Content of a folder."""

    images: list[Path]  # sorted by relative path, the same order on every machine
    skipped: Counter[str]  # suffix -> files


def scan(folder: Path, arrays: bool = False) -> Found:
    """List all files below a folder as images or skipped files; .npy files are images if `arrays`."""
    suffixes = {*FORMATS, ARRAY} if arrays else set(FORMATS)
    skipped: Counter[str] = Counter()
    images = []
    for path in _files(folder, skipped):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            images.append(path)
        else:
            skipped[suffix or NAMELESS] += 1
    return Found(sorted(images, key=lambda path: path.relative_to(folder).as_posix()), skipped)


def find_images(folder: Path, arrays: bool = False) -> list[Path]:
    """List the image files below a folder; .npy files too if `arrays`."""
    return scan(folder, arrays).images


def skipped_below(places: Iterable[Path], arrays: bool = False) -> str:
    """Describe in one line the files skipped in those places that are folders; empty if there are none."""
    return describe_skipped(sum((scan(place, arrays).skipped for place in places if place.is_dir()), Counter()))


def describe_skipped(skipped: Counter[str]) -> str:
    """Count skipped files by suffix, the most common first, with advice.

    Example: `skipped: 3 .mp4, 1 .txt (name films …)`.
    """
    if not skipped:
        return ""
    counts = ", ".join(f"{n:,} {suffix}" for suffix, n in sorted(skipped.items(), key=lambda item: (-item[1], item[0])))
    kinds = ((FILMS, FILM_REMEDY), (UNREAD, IMAGE_REMEDY), ({ARRAY}, ARRAY_REMEDY))
    remedies = "; ".join(remedy for suffixes, remedy in kinds if not suffixes.isdisjoint(skipped))
    return f"skipped: {counts}" + (f" ({remedies})" if remedies else "")


def none_found(*places: Path, arrays: bool = False) -> UserError:
    """Return the error for places without a single image.

    It names the files that are there, or the suffixes that are read.
    """
    if missing := [place for place in places if not place.exists()]:
        return UserError(f"{missing[0]}: no such folder; give a folder of images")
    skipped: Counter[str] = sum((scan(place, arrays).skipped for place in places), Counter())
    line, where = describe_skipped(skipped), ", ".join(map(str, places))
    if skipped and FILMS.issuperset(skipped):
        return UserError(f"{where}: only films there, no images; {line}")
    known = f"an image ends in one of {' '.join([*FORMATS, *[ARRAY] * arrays])}"
    return UserError("; ".join(filter(None, [f"{where}: no images there", line, known])))


def _files(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Visit every folder once, real folders before linked ones, in a fixed order."""
    visited: set[tuple[int, int]] = set()
    waiting = deque([folder])
    while waiting:
        place = waiting.popleft()
        try:
            status, names = place.stat(), sorted(os.listdir(place))
        except PermissionError:
            skipped[CLOSED] += 1
            continue
        except FileNotFoundError:
            continue
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        for path in (place / name for name in names if not name.startswith(".") and name != "__MACOSX"):
            if os.path.isfile(path):
                yield path
            elif os.path.isdir(path):
                (waiting.append if path.is_symlink() else waiting.appendleft)(path)
            elif path.is_symlink():
                skipped[BROKEN] += 1
