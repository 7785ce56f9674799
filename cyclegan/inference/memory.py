"""As much at once as memory holds: a batch, a picture, a tile, a smaller tile."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from tqdm import tqdm

from cyclegan.errors import NoSpaceError, enough_memory
from cyclegan.images import blend
from cyclegan.inference.room import free, needed
from cyclegan.inference.strength import Blended
from cyclegan.inference.tiles import SIDE, TiledTranslator
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.protocols import AnyImages, Translator

SMALLEST = 96  # px of a tile: below, overlaps are most of the work


def translate_in_memory(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """One by one, in tiles, and in smaller ones, where there is not enough memory for more; `sources` are named."""
    if isinstance(translator, Blended):
        return blend(images, translate_in_memory(translator.whole, images, sources), translator.strength)
    height, width = images.shape[2:]
    said = f"{sources[0]}: {width}×{height} pixels need more memory than there is; make the picture smaller"
    smaller = _smaller(translator)
    divisible = len(images) > 1 or smaller is not None
    if not (divisible and _is_hopeless(translator, images)):
        try:
            with enough_memory(lambda: said):
                return translator.translate(images)
        except NoSpaceError:
            if not divisible:
                raise
    # only here, where no traceback holds what the failed attempt had computed
    if len(images) > 1:
        singles = zip(images.split(1), sources, strict=True)
        return torch.cat([translate_in_memory(translator, image, [source]) for image, source in singles])
    assert smaller is not None
    return translate_in_memory(smaller, images, sources)


def _smaller(translator: Translator) -> TiledTranslator | None:
    """What does the same in less memory."""
    match translator:
        case NetworkTranslator(local=True) if translator.stride <= SIDE:
            return TiledTranslator(translator)
        case TiledTranslator(whole, side) if side > max(SMALLEST, whole.stride):
            return TiledTranslator(whole, max(side // 2, whole.stride))
    return None


def _is_hopeless(translator: Translator, images: AnyImages) -> bool:
    """Whether it needs more memory than is free, as far as is known; of what is no larger than a tile nobody asks."""
    count, _, height, width = images.shape
    if not isinstance(translator, NetworkTranslator | TiledTranslator) or count * height * width <= SIDE**2:
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
