"""As much at once as memory holds: a batch, a picture, a tile, a smaller tile."""

import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from tqdm import tqdm

from cyclegan.errors import NoSpaceError, enough_memory
from cyclegan.images.tensors import blend
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.strength import Blended
from cyclegan.protocols import AnyImages, Translator
from cyclegan.translate.memory_estimate import free, needed
from cyclegan.translate.tiles import TiledTranslator

SMALLEST = 96  # px of a side of a tile: below, overlaps are nearly all of the work
LITTLE = 384**2  # px of pictures
SCATTERED = 2  # tiles are of several sizes, between which the heap of glibc keeps about as much again


def translate_in_memory(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """One by one, in tiles, and in smaller ones, where there is not enough memory for more; `sources` are named."""
    if isinstance(translator, Blended):
        return blend(images, translate_in_memory(translator.whole, images, sources), translator.strength)
    tiled = _in_tiles(translator, images)
    if len(images) > 1 and _is_hopeless(translator, images):
        return _one_by_one(translator, images, sources)
    if tiled and halved(tiled) and _is_hopeless(translator, images):
        translator = fitting(tiled, images)
    return _tried(translator, images, sources)


def fitting(tiled: TiledTranslator, images: AnyImages) -> TiledTranslator:
    """In these tiles, or those as large as free memory allows, which see the least of the picture twice."""
    there, least = free(tiled.whole.device), _smallest(tiled.whole)
    if there is None or tiled.side <= least or needed(tiled, images) <= there:
        return tiled
    sides = range(least, tiled.side + 1, tiled.whole.stride)
    fits = bisect_right(sides, there // SCATTERED, key=lambda side: needed(replace(tiled, side=side), images))
    return replace(tiled, side=sides[max(fits - 1, 0)])


def halved(tiled: TiledTranslator) -> TiledTranslator | None:
    """In tiles of half the side; None where they would become too small."""
    least = _smallest(tiled.whole)
    return replace(tiled, side=max(tiled.side // 2, least)) if tiled.side > least else None


def _tried(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """Where memory is full after all, one by one or in tiles of half the side."""
    height, width = images.shape[2:]
    said = f"{sources[0]}: {width}×{height} pixels need more memory than there is; make the picture smaller"
    tiled = _in_tiles(translator, images)
    smaller = tiled and halved(tiled)
    try:
        with enough_memory(lambda: said):
            return translator.translate(images)
    except NoSpaceError:
        if len(images) == 1 and smaller is None:
            raise
    # only here, where no traceback holds what the failed attempt had computed
    if len(images) > 1:
        return _one_by_one(translator, images, sources)
    assert smaller is not None
    return _tried(smaller, images, sources)


def _one_by_one(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    singles = zip(images.split(1), sources, strict=True)
    return torch.cat([translate_in_memory(translator, image, [source]) for image, source in singles])


def _in_tiles(translator: Translator, images: AnyImages) -> TiledTranslator | None:
    """Tiles that do the same, of a whole picture a single one; None for what cannot be cut."""
    match translator:
        case NetworkTranslator(local=True):
            return TiledTranslator(translator, int(translator.padded(max(images.shape[2:]))))
        case TiledTranslator():
            return translator
    return None


def _smallest(whole: NetworkTranslator) -> int:
    """The least side of a tile: a multiple of the stride."""
    return -(-SMALLEST // whole.stride) * whole.stride


def _is_hopeless(translator: Translator, images: AnyImages) -> bool:
    """Whether it needs more memory than is free, as far as is known; of little pictures nobody asks."""
    count, _, height, width = images.shape
    if not isinstance(translator, NetworkTranslator | TiledTranslator) or count * height * width <= LITTLE:
        return False
    whole = translator.whole if isinstance(translator, TiledTranslator) else translator
    there = free(whole.device)
    if there is None or (needs := needed(translator, images)) <= there:
        return False
    if count == 1 and isinstance(translator, NetworkTranslator):
        _say(f"{width}×{height} pixels need about {needs / 1e6:,.0f} MB, more memory than is free: worked on in tiles")
    return True


@cache
def _say(line: str) -> None:
    """Once, however many pictures or frames have this size."""
    tqdm.write(line, file=sys.stderr)
