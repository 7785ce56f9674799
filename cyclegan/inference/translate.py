"""Picture files → translated picture files: the same names, the same tree, the same sizes, every one of them.

A picture that cannot be read is named in the report and does not stop the others. Nothing is written over a source.
"""

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cyclegan.errors import NoSpaceError, UserError
from cyclegan.inference.load import Loaded
from cyclegan.pictures import FORMATS, BadPictureError, find_pictures, open_picture, write_picture

FULL = re.compile("out of memory|can't allocate memory|not enough memory")  # CUDA and MPS, Linux, Windows


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of the pictures."""

    done: list[Path] = field(default_factory=list)  # written
    bad: list[BadPictureError] = field(default_factory=list)


def translate(loaded: Loaded, sources: Sequence[Path], out: Path, to: str | None = None) -> Report:
    """Translate files and the pictures below folders to a side, one at a time, into `out`."""
    loaded.translator(to)  # a wrong name is refused before anything else
    report = Report()
    for target, source in tqdm(plan(sources, out).items(), unit="picture", disable=None):
        try:
            with _enough_memory(source):
                translated = loaded(source, to)
            _write(target, translated)
        except BadPictureError as bad:
            report.bad.append(bad)
        else:
            report.done.append(target)
    return report


def plan(sources: Sequence[Path], out: Path) -> Mapping[Path, Path]:
    """target -> source. Refuses to lose a picture: to write over a source, or two sources to one target."""
    planned: dict[Path, Path] = {}
    for name, source in _find(sources):
        other = planned.setdefault(out / name, source)
        if other.resolve() != source.resolve():
            raise UserError(f"{other} and {source}: both would become {out / name}; give each an --out of its own")
    if not planned:
        folders = ", ".join(map(str, sources))
        raise UserError(f"{folders}: no pictures there; a picture ends in one of {' '.join(FORMATS)}")
    originals = {source.resolve() for source in planned.values()}
    for target in planned:
        if target.resolve() in originals:
            raise UserError(f"{target}: is a source and would be written over; give another --out")
    return planned


def _find(sources: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(name below the output folder, source) of every picture."""
    for source in sources:
        if source.is_dir():
            yield from ((path.relative_to(source), path) for path in find_pictures(source))
        elif source.exists():
            yield Path(source.name), source
        else:
            raise UserError(f"{source}: does not exist; give picture files or folders")


@contextmanager
def _enough_memory(source: Path) -> Iterator[None]:
    """Turns what each device says when it is full into an error that names the picture."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not FULL.search(str(error)):
            raise
        with open_picture(source) as picture:
            size = f"{picture.width}×{picture.height}"
        raise NoSpaceError(
            f"{source}: {size} pixels need more memory than there is; make the picture smaller"
        ) from error


def _write(target: Path, picture: Image.Image) -> None:
    try:
        write_picture(target, np.asarray(picture))
    except OSError as error:
        kind = NoSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UserError
        raise kind(
            f"{target}: cannot be written ({error.strerror or error}); give another --out or make room"
        ) from error
