"""Picture files → translated picture files: the same names, the same tree, the same sizes, every one of them.

A picture that cannot be read is named in the report and does not stop the others. Nothing is written over a source.
Every result says in its metadata what made it, and with whose weights.
"""

import errno
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from cyclegan.errors import NoSpaceError, UserError, enough_memory
from cyclegan.images import read, write
from cyclegan.inference.load import Loaded
from cyclegan.inference.tiles import TiledTranslator
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.pictures import FORMATS, BadPictureError, find_pictures, open_picture
from cyclegan.protocols import Images, Translator, Watchable

SMALLEST = 96  # px of a tile: below, overlaps are most of the work


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of the pictures."""

    done: list[Path] = field(default_factory=list)  # written
    bad: list[BadPictureError] = field(default_factory=list)


def translate(
    loaded: Loaded,
    sources: Sequence[Path],
    out: Path,
    to: str | None = None,
    *,
    bits: int = 8,
    every: int | None = None,
    tile: int | None = None,
    batch: int = 1,
) -> Report:
    """Translate files and the pictures below folders to a side, into `out`; reading and writing go on meanwhile.

    bits   a channel: 8, or 16, which makes every result a .tif.
    every  Of a method that optimizes, keep what there is after every so many steps: <name>/step-00050.png.
    tile   Of a trained generator, work in squares of so many pixels: the same result in less memory and more time. By
           itself this is done where a picture does not fit into memory.
    batch  Up to so many pictures of one size, where they follow each other, go through the network together.
    """
    translator = loaded.translator(to)  # a wrong name is refused before anything else
    if tile is not None:
        if not isinstance(translator, NetworkTranslator):
            raise UserError("--tile: is for trained generators; this model looks at the whole picture")
        translator = TiledTranslator(translator, tile)
    if every is not None and not isinstance(translator, Watchable):
        raise UserError("--every: this model paints in one go; only a method that optimizes has pictures on the way")
    if every is not None and batch > 1:
        raise UserError("--batch: pictures that are kept every so many steps are painted one by one; leave --every out")
    report = Report()
    planned = plan(sources, out, bits)
    leaving: deque[tuple[Path, Future[None]]] = deque()

    def arrive(at_most: int) -> None:
        while len(leaving) > at_most:
            target, written = leaving.popleft()
            try:
                written.result()
            except BadPictureError as bad:
                report.bad.append(bad)
            else:
                report.done.append(target)

    with ThreadPoolExecutor(2, "pictures") as threads, tqdm(total=len(planned), unit="picture", disable=None) as bar:
        for group in _groups(_read_ahead(threads, planned, report, batch), batch):
            if every is not None and isinstance(translator, Watchable):
                translator = translator.watched(_Snapshots(group[0].target, loaded.signature), every)
            translated = _translated(translator, torch.cat([job.image for job in group]), [job.source for job in group])
            for job, image in zip(group, translated.split(1), strict=True):
                leaving.append((job.target, threads.submit(_write, job.target, image, bits, loaded.signature)))
            arrive(at_most=batch)
            bar.update(len(report.done) + len(report.bad) - bar.n)
        arrive(at_most=0)
        bar.update(len(planned) - bar.n)
    return report


class _Job(NamedTuple):
    """A picture on its way."""

    source: Path
    target: Path
    image: Images


def _read_ahead(threads: Executor, planned: Mapping[Path, Path], report: Report, ahead: int) -> Iterator[_Job]:
    """The pictures in order, some of them read before they are asked for; those that cannot be read are reported."""
    waiting = iter(planned.items())
    coming: deque[tuple[Path, Path, Future[Images]]] = deque()
    while True:
        for target, source in islice(waiting, ahead + 1 - len(coming)):
            coming.append((target, source, threads.submit(read, source)))
        if not coming:
            return
        target, source, image = coming.popleft()
        try:
            yield _Job(source, target, image.result())
        except BadPictureError as bad:
            report.bad.append(bad)


def _groups(jobs: Iterable[_Job], most: int) -> Iterator[list[_Job]]:
    """Neighbors of one size."""
    group: list[_Job] = []
    for job in jobs:
        if group and job.image.shape != group[0].image.shape:
            yield group
            group = []
        group.append(job)
        if len(group) == most:  # at once, so that the next is read while this one is worked on
            yield group
            group = []
    if group:
        yield group


def _translated(translator: Translator, images: Images, sources: Sequence[Path]) -> Images:
    """One by one, in tiles, and in smaller ones, where there is not enough memory for more."""
    try:
        with enough_memory(lambda: _too_large(sources[0])):
            return translator.translate(images)
    except NoSpaceError:
        if len(images) > 1:
            singles = zip(images.split(1), sources, strict=True)
            return torch.cat([_translated(translator, image, [source]) for image, source in singles])
        match translator:
            case NetworkTranslator():
                return _translated(TiledTranslator(translator), images, sources)
            case TiledTranslator() if translator.side > SMALLEST:
                return _translated(TiledTranslator(translator.whole, translator.side // 2), images, sources)
        raise


@dataclass(frozen=True)
class _Snapshots:
    """Writes what it is shown beside the target."""

    target: Path
    signature: str

    def __call__(self, glance: Any) -> None:
        losses = ", ".join(f"{name} {value:.4g}" for name, value in glance.losses.items())
        about = f"{self.signature}; step {glance.step} of {glance.steps}: {losses}"
        _write(self.target.with_suffix("") / f"step-{glance.step:05d}.png", glance.image, 8, about)


def plan(sources: Sequence[Path], out: Path, bits: int = 8) -> Mapping[Path, Path]:
    """target -> source. Refuses to lose a picture: to write over a source, or two sources to one target."""
    planned: dict[Path, Path] = {}
    for name, source in _find(sources):
        target = out / (name if bits == 8 else name.with_suffix(".tif"))
        other = planned.setdefault(target, source)
        if other.resolve() != source.resolve():
            raise UserError(f"{other} and {source}: both would become {target}; give each an --out of its own")
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


def _too_large(source: Path) -> str:
    with open_picture(source) as picture:
        size = f"{picture.width}×{picture.height}"
    return f"{source}: {size} pixels need more memory than there is; make the picture smaller"


def _write(target: Path, image: Images, bits: int, about: str) -> None:
    try:
        write(target, image, bits=bits, about=about)
    except OSError as error:
        kind = NoSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else UserError
        raise kind(
            f"{target}: cannot be written ({error.strerror or error}); give another --out or make room"
        ) from error
