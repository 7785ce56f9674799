"""As much at once as memory holds: a batch, a picture, a tile, a smaller tile."""

from collections.abc import Sequence
from pathlib import Path

import torch

from cyclegan.errors import NoSpaceError, enough_memory
from cyclegan.images import blend
from cyclegan.inference.strength import Blended
from cyclegan.inference.tiles import TiledTranslator
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.protocols import AnyImages, Translator

SMALLEST = 96  # px of a tile: below, overlaps are most of the work


def translate_in_memory(translator: Translator, images: AnyImages, sources: Sequence[Path]) -> AnyImages:
    """One by one, in tiles, and in smaller ones, where there is not enough memory for more; `sources` are named."""
    if isinstance(translator, Blended):
        return blend(images, translate_in_memory(translator.whole, images, sources), translator.strength)
    height, width = images.shape[2:]
    said = f"{sources[0]}: {width}×{height} pixels need more memory than there is; make the picture smaller"
    try:
        with enough_memory(lambda: said):
            return translator.translate(images)
    except NoSpaceError:
        smaller = _smaller(translator)
        if len(images) == 1 and smaller is None:
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
        case NetworkTranslator(local=True):
            return TiledTranslator(translator)
        case TiledTranslator() if translator.side > SMALLEST:
            return TiledTranslator(translator.whole, translator.side // 2)
    return None
