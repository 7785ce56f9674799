"""Translation in pieces that fit into memory: a batch, an image, a tile or a smaller tile."""

import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from tqdm import tqdm

from cyclegan.errors import ResourceError, out_of_memory_as
from cyclegan.images.tensors import blend
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.strength import Blend
from cyclegan.protocols import AnyImages, Translator
from cyclegan.translate.memory_estimate import free, needed
from cyclegan.translate.tiles import TiledTranslator

SMALLEST = 96  # px of a side of a tile: below this, nearly all of the work is overlap
LITTLE = 384**2  # px of all images of a batch, up to which memory is not checked
SCATTERED = 2  # tiles have several sizes, for which the heap of glibc keeps about as much again


def translate_in_memory(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """Translate images, or when memory is short, one by one, in tiles or in smaller tiles.

    Errors name the `sources`.
    """
    if isinstance(translator, Blend):
        return blend(images, translate_in_memory(translator.whole, images, sources), translator.strength)
    tiled = _in_tiles(translator, images)
    if len(images) > 1 and _is_hopeless(translator, images):
        return _one_by_one(translator, images, sources)
    if tiled and halved(tiled) and _is_hopeless(translator, images):
        translator = fitting(tiled, images)
    return _tried(translator, images, sources)


def fitting(tiled: TiledTranslator, images: AnyImages) -> TiledTranslator:
    """Return the given tiles if they fit into free memory, or else the largest ones that do.

    Larger tiles compute fewer pixels twice.
    """
    there, least = free(tiled.whole.device), _smallest(tiled.whole)
    if there is None or tiled.side <= least or needed(tiled, images) <= there:
        return tiled
    sides = range(least, tiled.side + 1, tiled.whole.stride)
    fits = bisect_right(sides, there // SCATTERED, key=lambda side: needed(replace(tiled, side=side), images))
    return replace(tiled, side=sides[max(fits - 1, 0)])


def halved(tiled: TiledTranslator) -> TiledTranslator | None:
    """Return tiles of half the side; None if these would be too small."""
    least = _smallest(tiled.whole)
    return replace(tiled, side=max(tiled.side // 2, least)) if tiled.side > least else None


def _tried(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """Translate images; if memory runs out, retry one by one or in tiles of half the side."""
    height, width = images.shape[2:]
    said = f"{sources[0]}: {width}×{height} pixels need more memory than there is; make the picture smaller"
    tiled = _in_tiles(translator, images)
    smaller = tiled and halved(tiled)
    try:
        with out_of_memory_as(lambda: said):
            return translator.translate(images)
    except ResourceError:
        if len(images) == 1 and smaller is None:
            raise
    # outside the handler: its traceback would keep the tensors of the failed attempt alive
    if len(images) > 1:
        return _one_by_one(translator, images, sources)
    assert smaller is not None
    return _tried(smaller, images, sources)


def _one_by_one(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    singles = zip(images.split(1), sources, strict=True)
    return torch.cat([translate_in_memory(translator, image, [source]) for image, source in singles])


def _in_tiles(translator: Translator, images: AnyImages) -> TiledTranslator | None:
    """Return a tiled translator, with one tile for the whole image at first; None if it cannot be tiled."""
    match translator:
        case NetworkTranslator(local=True):
            return TiledTranslator(translator, int(translator.padded(max(images.shape[2:]))))
        case TiledTranslator():
            return translator
    return None


def _smallest(whole: NetworkTranslator) -> int:
    """Smallest side of a tile: a multiple of the stride."""
    return -(-SMALLEST // whole.stride) * whole.stride


def _is_hopeless(translator: Translator, images: AnyImages) -> bool:
    """Return whether the estimated memory exceeds the free memory.

    The answer is False for small images and where the free memory is unknown.
    """
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
    """Print a line once, however many images or frames have this size."""
    tqdm.write(line, file=sys.stderr)
