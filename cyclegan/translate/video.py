"""Translation of videos, and of folders of frames, with as little flicker as separate frames allow.

Statistics   An instance norm scales each frame by its own mean and variance, so that an object entering the
             frame changes everything else in it. Here both are taken from evenly spaced frames of the whole
             video, treated as one image: the mean of their means, and the mean of their variances plus the
             variance of their means. They are then fixed, and the translation of a pixel depends only on the
             pixels around it. They are gathered layer by layer (see tiles.py), which costs as much as
             translating forty to sixty frames with a generator of 23 norms. Split a video whose scenes
             differ much: the statistics are those of all of it.
AdaIN        encodes the style once; the statistics of the content are still those of each frame.
Passes       Two: one for the sample and one to translate. Memory holds the sample and a few frames. Reading,
             translating and writing run in parallel. Motion is not tracked: there is no optical flow.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from cyclegan.data.openmp import helpers
from cyclegan.errors import ResourceError, UserError, out_of_memory_as
from cyclegan.images.find import FILMS
from cyclegan.images.rgb8 import BadPictureError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.compiled import compile_network, is_compiled
from cyclegan.model.model import Model
from cyclegan.model.source_image import FormatPair, read_source
from cyclegan.protocols import Translator, Watchable
from cyclegan.translate.fit_memory import fitting, halved, translate_in_memory
from cyclegan.translate.flicker import Flicker
from cyclegan.translate.image_files import Report, groups, prepared, require_steps, translate, translate_planned
from cyclegan.translate.options import Options
from cyclegan.translate.output_paths import in_natural_order, plan, without_losses
from cyclegan.translate.tiles import TiledTranslator, has_norms
from cyclegan.translate.video_files import BadFilmError, read_frames
from cyclegan.translate.video_files import Frame as VideoFrame
from cyclegan.translate.video_findings import Findings
from cyclegan.translate.video_writer import film_like

SAMPLE = 8  # frames, at most, that the statistics are taken from

T = TypeVar("T")
Frame: TypeAlias = Float[Tensor, "1 _ _ _"]  # of any size: those of a folder may differ


def translate_all(
    loaded: Model,
    sources: Sequence[Path],
    out: Path,
    to: str | None = None,
    how: Options = Options(),
    *,
    frames: bool = False,
) -> Report:
    """Translate videos, images and folders of images; with `frames`, translate folders of frames."""
    if frames:
        return translate_frames(loaded, sources, out, to, how)
    films = [source for source in sources if source.suffix.lower() in FILMS and not source.is_dir()]
    pictures = [source for source in sources if source not in films]
    if not films:
        return translate(loaded, pictures, out, to, how)
    if pictures:
        # report their errors before the videos are processed
        plan(pictures, out, None, *loaded.formats_to(to)[:2])
    report = translate_films(loaded, films, out, to, how)
    if pictures:
        report.add(translate(loaded, pictures, out, to, how))
    return report


def translate_films(
    loaded: Model, films: Sequence[Path], out: Path, to: str | None = None, how: Options = Options()
) -> Report:
    """Translate each video to <name>.mp4 in `out`, with its sound; a bad one does not stop the others."""
    if how.bits not in (None, 8):
        raise UserError(f"--bits: {films[0]} becomes a film, which has 8 bits a channel")
    loaded.require_rgb(f"{films[0]}", to)
    translator = _for_films(loaded.translator(to), films[0], how)
    report = Report()
    for target, film in without_losses((out / f"{film.stem}.mp4", film) for film in films).items():
        try:
            _translate_film(translator, film, target, loaded.signature, how, report)
        except BadFilmError as bad:
            report.bad.append(bad)
    return report


def _translate_film(translator: Translator, film: Path, target: Path, about: str, how: Options, report: Report) -> None:
    """Translate one video in two passes; if its end is missing, write what is there and report it."""
    found = Findings()
    sample = evenly(read_frames(film, found))
    if not sample:
        which = " that can be decoded" if found.damaged else ""
        raise BadFilmError(f"{film}: has no frames{which}; remove or replace it")
    steady = prepared(with_fixed_norms(translator, [frame.image for frame in sample], film, how.tile), how)
    notes = _write_film(steady, film, target, sample[0], about, how.batch)
    report.notes.extend(f"{film}: {note}" for note in [*notes, *found.notes])
    if found.missing:
        raise BadFilmError(f"{film}: {found.missing} and are in {target}; replace it by a whole one")
    report.done.append(target)


def _write_film(
    translator: Translator, film: Path, target: Path, like: VideoFrame, about: str, batch: int
) -> list[str]:
    """Read, translate and write a video in parallel; return notes for the report."""
    flicker, leaving = Flicker(), deque[Future[None]]()
    with (
        film_like(film, target, like, about) as writer,
        helpers(1, "reading") as reading,
        helpers(1, "writing") as writing,
        tqdm(desc=film.name, unit="frame", disable=None) as bar,
    ):
        for group in groups(_ahead(read_frames(film), reading), batch):
            images = torch.cat([frame.image for frame in group])
            translated = translate_in_memory(translator, images, [film] * len(group))
            flicker(images, translated)
            while len(leaving) > batch:
                leaving.popleft().result()
            for frame, image in zip(group, translated.split(1), strict=True):
                leaving.append(writing.submit(writer.write, frame._replace(image=image)))
            bar.update(len(group))
        for written in leaving:
            written.result()
    return [str(flicker), *writer.notes]


def translate_frames(
    loaded: Model, folders: Sequence[Path], out: Path, to: str | None = None, how: Options = Options()
) -> Report:
    """Translate each folder as a video; its frames are the images below it, in the order of their numbers."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--frames: {folder} is no folder; give folders of frames")
    kinds = loaded.formats_to(to).with_bits(how.bits)
    kinds.require_mixture(how.strength)
    plan(folders, out, how.bits, *kinds[:2])  # refuses two frames that would become one
    translator = _for_films(loaded.translator(to), folders[0], how)
    report = Report()
    for folder in folders:
        planned, flicker = in_natural_order(plan([folder], out, how.bits, *kinds[:2])), Flicker()
        sample = _readable(evenly(planned.values()), kinds)
        steady = prepared(with_fixed_norms(translator, sample, folder, how.tile), how)
        report.add(translate_planned(steady, planned, loaded.signature, kinds, how, flicker))
        report.notes.append(f"{folder}: {flicker}")
    return report


def _for_films(translator: Translator, film: Path, how: Options) -> Translator:
    """Return the translator unchanged; refuse one that cannot translate videos."""
    if isinstance(translator, Watchable):
        raise UserError(f"{film}: this model optimizes each frame by itself; films want a trained generator, or AdaIN")
    require_steps(translator, how)
    return translator


def with_fixed_norms(
    translator: Translator, sample: Sequence[Frame], film: Path, tile: int | None = None
) -> Translator:
    """Fix the statistics of a translator to those of the sample, if its network computes any."""
    if not isinstance(translator, NetworkTranslator) or not has_norms(translator.network) or not sample:
        return translator
    largest = max(sample, key=Tensor.numel)
    whole = int(translator.padded(max(max(image.shape[2:]) for image in sample)))
    fixed = _fixed(fitting(TiledTranslator(translator, tile or whole), largest), sample, film)
    if is_compiled(translator.network):
        compile_network(fixed)
    return replace(translator, network=fixed)


def _fixed(tiled: TiledTranslator, sample: Sequence[Frame], film: Path) -> nn.Module:
    """Gather the statistics in tiles, and in smaller tiles if memory runs out."""
    smaller = halved(tiled)
    try:
        with out_of_memory_as(lambda: f"{film}: its frames need more memory than there is; make the film smaller"):
            return tiled.fixed(sample)
    except ResourceError:
        if smaller is None:
            raise
    # outside the handler: its traceback would keep the tensors of the failed attempt alive
    return _fixed(smaller, sample, film)


def evenly(items: Iterable[T], most: int = SAMPLE) -> list[T]:
    """Keep every k-th item, for the smallest power of two k that leaves at most `most` items.

    No more than `most` items are held at any time.
    """
    kept: list[T] = []
    every = 1
    for i, item in enumerate(items):
        if i % every:
            continue
        if len(kept) == most:
            kept, every = kept[::2], 2 * every
        if i % every == 0:
            kept.append(item)
    return kept


def _readable(paths: Sequence[Path], kinds: FormatPair) -> list[Frame]:
    """Read the images that can be read; the others are reported when they are to be translated."""
    images: list[Frame] = []
    for path in paths:
        with suppress(BadPictureError):
            images.append(read_source(path, kinds.source).image)
    return images


def _ahead(items: Iterator[T], thread: Executor) -> Iterator[T]:
    """Yield the items, fetching each while the one before it is processed."""
    end = object()
    coming: Future[Any] = thread.submit(next, items, end)
    while (item := coming.result()) is not end:
        coming = thread.submit(next, items, end)
        yield item
