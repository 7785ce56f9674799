"""Translation of image files to files of the same names, folder tree and sizes.

Type, range, profile and resolution are those of the source as far as the target domain has them (see
cyclegan.model.source_image); the channels are those of the target domain.

An image that cannot be read is listed in the report and does not stop the others. No source is overwritten.
The metadata of every result records which program, and whose weights, produced it.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from tqdm import tqdm

from cyclegan.data.openmp import helpers
from cyclegan.errors import UserError, from_os_error
from cyclegan.images.rgb8 import BadPictureError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.compiled import is_compiled
from cyclegan.model.model import Model
from cyclegan.model.source_image import FormatPair, SourceImage, read_source, write_translation
from cyclegan.model.strength import at_strength
from cyclegan.protocols import AnyImages, Translator, Watchable
from cyclegan.translate.fit_memory import translate_in_memory
from cyclegan.translate.options import Options
from cyclegan.translate.output_paths import plan, snapshot_folders
from cyclegan.translate.tiles import TiledTranslator

BATCHES_AHEAD = 4  # of images waiting for others of their size: needs little memory next to the network


@runtime_checkable
class HasImage(Protocol):
    """Interface of jobs that carry an image or a frame."""

    @property
    def image(self) -> AnyImages:
        """Image of shape (1, c, h, w)."""
        ...


Job = TypeVar("Job", bound=HasImage)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Results of a translation: files written, files that could not be read, and notes."""

    done: list[Path] = field(default_factory=list)  # written
    bad: list[BadPictureError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # on videos, and on what formats cannot store

    def add(self, other: "Report") -> None:
        """Append another report to this one."""
        self.done.extend(other.done)
        self.bad.extend(other.bad)
        self.notes.extend(other.notes)

    def in_order(self, planned: Iterable[Path]) -> "Report":
        """Sort the written files by the order of the targets."""
        place = {target: number for number, target in enumerate(planned)}
        self.done.sort(key=place.__getitem__)
        return self


def translate(
    loaded: Model, sources: Sequence[Path], out: Path, to: str | None = None, how: Options = Options()
) -> Report:
    """Translate files, and the images below folders, into `out`; reading and writing run in parallel."""
    translator = prepared(loaded.translator(to), how)  # a wrong name is refused before anything else
    require_steps(translator, how)
    if how.every is not None and how.batch > 1:
        raise UserError("--batch: pictures that are kept every so many steps are painted one by one; leave --every out")
    kinds = loaded.formats_to(to).with_bits(how.bits)
    kinds.require_mixture(how.strength)

    from cyclegan.translate.animation import divide, translate_animations  # here: it imports this module

    planned = plan(sources, out, how.bits, *kinds[:2])
    stills, animations, report = divide(planned, kinds.source)
    report.add(translate_animations(loaded, animations, to, kinds, how))
    report.add(translate_planned(translator, stills, loaded.signature, kinds, how))
    return report.in_order(planned)


def prepared(translator: Translator, how: Options) -> Translator:
    """Wrap a translator to work in tiles and at part of its strength, where the options ask for it."""
    if how.tile is not None:
        if not isinstance(translator, NetworkTranslator) or not translator.local:
            raise UserError("--tile: is for trained generators; this model looks at the whole picture")
        if is_compiled(translator.network):
            raise UserError("--tile: works with copies of the network that are not compiled; leave --compile or it out")
        translator = TiledTranslator(translator, how.tile)
    return at_strength(translator, how.strength)


def require_steps(translator: Translator, how: Options) -> None:
    """Refuse to save intermediate images of a model that has none."""
    if how.every is not None and not isinstance(translator, Watchable):
        raise UserError(
            "--every: this model translates in one pass; only a method that optimizes has images on the way"
        )


def translate_planned(
    translator: Translator,
    planned: Mapping[Path, Path],
    signature: str,
    kinds: FormatPair,
    how: Options,
    seen: Callable[[AnyImages, AnyImages], None] | None = None,
) -> Report:
    """Translate sources to targets.

    seen  Called with each batch of images and their translations; the images then keep the order of the plan.
    """
    report, waiting = Report(), 0 if seen else BATCHES_AHEAD * how.batch
    leaving: deque[tuple[Path, Future[list[str]]]] = deque()
    lost: defaultdict[str, list[Path]] = defaultdict(list)  # loss -> files that have it
    folders = {} if how.every is None else snapshot_folders(planned)

    def arrive(at_most: int) -> None:
        while len(leaving) > at_most:
            target, written = leaving.popleft()
            try:
                for what in written.result():
                    lost[what].append(target)
            except BadPictureError as bad:
                report.bad.append(bad)
            else:
                report.done.append(target)

    with helpers(2, "pictures") as threads, tqdm(total=len(planned), unit="picture", disable=None) as bar:
        for group in groups(_read_ahead(threads, planned, report, how.batch, kinds), how.batch, waiting):
            if how.every is not None and isinstance(translator, Watchable):
                watch = _Snapshots(group[0], folders[group[0].target], kinds, signature)
                translator = translator.with_callback(watch, how.every)
            images = torch.cat([job.image for job in group])
            translated = translate_in_memory(translator, images, [job.source for job in group])
            if seen:
                seen(images, translated)
            for job, image in zip(group, translated.split(1), strict=True):
                leaving.append((job.target, threads.submit(_write, job, image, kinds, signature)))
            arrive(at_most=how.batch)
            bar.update(len(report.done) + len(report.bad) - bar.n)
        arrive(at_most=0)
        bar.update(len(planned) - bar.n)
    report.notes.extend(describe_losses(lost))
    return report.in_order(planned)


def describe_losses(lost: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return one line for each kind of loss, with the files that it occurred in."""
    more = {what: f" and {len(paths) - 1} more" if len(paths) > 1 else "" for what, paths in lost.items()}
    return [f"note: {what}: {paths[0]}{more[what]}" for what, paths in lost.items()]


class _Job(NamedTuple):
    """One image on its way from source to target."""

    source: Path
    target: Path
    original: SourceImage

    @property
    def image(self) -> AnyImages:
        """Image of shape (1, c, h, w)."""
        return self.original.image


def _read_ahead(
    threads: Executor, planned: Mapping[Path, Path], report: Report, ahead: int, kinds: FormatPair
) -> Iterator[_Job]:
    """Yield the images in order, reading some in advance; those that cannot be read are reported."""
    waiting = iter(planned.items())
    coming: deque[tuple[Path, Path, Future[SourceImage]]] = deque()
    while True:
        for target, source in islice(waiting, ahead + 1 - len(coming)):
            coming.append((target, source, threads.submit(read_source, source, kinds.source)))
        if not coming:
            return
        target, source, original = coming.popleft()
        try:
            yield _Job(source, target, original.result())
        except BadPictureError as bad:
            report.bad.append(bad)


def groups(jobs: Iterable[Job], most: int, waiting: int = 0) -> Iterator[list[Job]]:
    """Group jobs whose images have the same size, at most `most` in a group.

    At most `waiting` jobs are kept waiting for others of their size while jobs of another size arrive.
    """
    held: dict[torch.Size, list[Job]] = {}  # those that have waited longest first
    for job in jobs:
        shape = job.image.shape
        held.setdefault(shape, []).append(job)
        if len(held[shape]) == most:  # at once, so that the next is read while this one is translated
            yield held.pop(shape)
        while sum(len(group) for other, group in held.items() if other != shape) > waiting:
            yield held.pop(next(other for other in held if other != shape))
    yield from held.values()


@dataclass(frozen=True)
class _Snapshots:
    """Writer of intermediate images beside the target, with the target's alpha, bits and profile."""

    job: _Job
    folder: Path
    kinds: FormatPair
    signature: str

    def __call__(self, glance: Any) -> None:
        losses = ", ".join(f"{name} {value:.4g}" for name, value in glance.losses.items())
        about = f"{self.signature}; step {glance.step} of {glance.steps}: {losses}"
        path = self.folder / f"step-{glance.step:05d}.png"
        with writing(path):
            write_translation(path, glance.image, self.job.original, self.kinds, about)


def _write(job: _Job, image: AnyImages, kinds: FormatPair, about: str) -> list[str]:
    with writing(job.target):
        return write_translation(job.target, image, job.original, kinds, about)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Report a failure to write to disk in one line."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, target, "give another --out or make room") from error
