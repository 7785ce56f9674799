"""Translation of animations frame by frame, and of TIFF files with several pages page by page.

Animations  are treated like videos: the statistics of the norms are fixed, taken from frames of the whole
            animation, so that the result does not flicker. Durations, loops, size and transparency are those
            of the source.
Pages       are translated like separate files, each with its own size, type, profile and resolution.
Whole       files only: if a file turns out to be damaged, no result is left behind.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from cyclegan.errors import UserError
from cyclegan.images.frames import count_frames, holds_frames, is_tiff, read_frames, write_frames
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.images.png16 import deep_mode
from cyclegan.images.raster import Raster
from cyclegan.images.rgb8 import BadPictureError
from cyclegan.model.model import Model
from cyclegan.model.source_image import FormatPair, SourceImage, raster_like, source_of
from cyclegan.protocols import Translator
from cyclegan.translate.fit_memory import translate_in_memory
from cyclegan.translate.image_files import Report, describe_losses, groups, prepared, writing
from cyclegan.translate.options import Options
from cyclegan.translate.video import evenly, with_fixed_norms


def divide(planned: Mapping[Path, Path], kind: PixelFormat) -> tuple[dict[Path, Path], dict[Path, Path], Report]:
    """Map targets to sources, separately for still images and for files of several frames or pages.

    Files that cannot be read are in the report.
    """
    stills: dict[Path, Path] = {}
    animations: dict[Path, Path] = {}
    report = Report()
    for target, source in planned.items():
        try:
            count = count_frames(source, kind)
        except BadPictureError as bad:  # for example, several frames with damage between them
            report.bad.append(bad)
            continue
        (animations if count > 1 and holds_frames(target, source) else stills)[target] = source
        if count > 1:
            report.notes.extend(f"note: {what}: {source}" for what in _losses(target, source, count))
    return stills, animations, report


def _losses(target: Path, source: Path, count: int) -> Iterator[str]:
    """Yield what a file of several frames or pages loses, whatever its content."""
    if not holds_frames(target, source):
        yield f"only the first of {count} images is translated, for want of room"
        return
    if target.suffix.lower().startswith(".tif") and not is_tiff(source):
        yield f"{count} frames become pages of {target.name}, without durations"
    if deep_mode(source):
        yield "8 of 16 bits are lost, as animations are read with 8"


def translate_animations(
    loaded: Model, animations: Mapping[Path, Path], to: str | None, kinds: FormatPair, how: Options
) -> Report:
    """Translate sources to targets; a file that cannot be read is reported and does not stop the others."""
    if how.every is not None and animations:
        raise UserError(f"--every: {next(iter(animations.values()))} has more than one frame; leave --every out")
    report, lost = Report(), defaultdict[str, list[Path]](list)  # loss -> files that have it
    for target, source in animations.items():
        losses: dict[str, None] = {}
        try:
            translator = _steady(loaded.translator(to), source, kinds, how)
            with writing(target):
                _write_whole(target, _translated(translator, source, target, kinds, how, losses), loaded.signature)
        except BadPictureError as bad:
            report.bad.append(bad)
            continue
        report.done.append(target)
        for what in losses:
            lost[what].append(target)
    report.notes.extend(describe_losses(lost))
    return report


def _steady(translator: Translator, source: Path, kinds: FormatPair, how: Options) -> Translator:
    """Fix the statistics of the norms for the frames of an animation; pages of a TIFF keep their own."""
    if is_tiff(source):
        return prepared(translator, how)
    sample = evenly(original.image for original in _originals(source, kinds))
    return prepared(with_fixed_norms(translator, sample, source, how.tile), how)


def _translated(
    translator: Translator, source: Path, target: Path, kinds: FormatPair, how: Options, losses: dict[str, None]
) -> Iterator[Raster]:
    """Yield the translated frames in order; what they lose is added to `losses`."""
    with tqdm(desc=source.name, unit="frame", disable=None) as bar:
        for group in groups(_originals(source, kinds), how.batch):
            images = torch.cat([original.image for original in group])
            translated = translate_in_memory(translator, images, [source] * len(group))
            for original, image in zip(group, translated.split(1), strict=True):
                raster, lost = raster_like(target.suffix, image, original, kinds)
                losses |= dict.fromkeys(lost)
                yield raster
            bar.update(len(group))


def _originals(source: Path, kinds: FormatPair) -> Iterator[SourceImage]:
    return (source_of(raster, kinds.source) for raster in read_frames(source, kinds.source))


def _write_whole(target: Path, frames: Iterable[Raster], about: str) -> None:
    """Write the frames under another name and move the file into place once it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".partial.{target.name}")
    try:
        write_frames(part, frames, about)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
