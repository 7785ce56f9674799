"""A large picture through a trained generator of the paper's size: whole, and in tiles, float32.

Memory     what the call adds at its peak to the resident memory; each is called once, the tiles first.
Levels     of 255: how far the translation in tiles is from the whole one at most.
Ratio      of seconds: tiles see their surroundings, too, and the statistics of instance norms are gathered layer by
           layer, so that they cost time.
"""

import gc
from collections.abc import Callable
from dataclasses import replace

import torch
from material import CONTENT, photograph
from paired import LEAST, Row, Table, Variant, between, finish, read_clocks, row

from cyclegan.evaluation.timing import peak
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.protocols import Images
from cyclegan.translate.tiles import TiledTranslator

SIZES = (2048,)  # px of the longer side
QUICK_SIZES = (96,)
SIDE = 384  # px of a tile


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size, of 4 : 3; measured once, however many rounds are asked for."""
    del rounds, least
    quick = size in QUICK_SIZES
    torch.manual_seed(0)
    network = (ResnetGenerator(base_channels=4, blocks=1) if quick else ResnetGenerator()).to(device).eval()
    whole = NetworkTranslator(network, network.stride)
    side = 32 if quick else SIDE
    image = photograph(CONTENT, size, device)[..., : size * 3 // 4, :].contiguous()
    whole.translate(image[..., :64, :64])  # what is made at the first call of all is no part of it

    tiled, in_tiles = _once(f"tiles of {side} px", TiledTranslator(whole, side).translate, image, device)
    at_once, expected = _once("whole", whole.translate, image, device)
    tiled.agreement["levels off at most"] = 127.5 * (in_tiles - expected).abs().max().item()
    if tiled.memory and at_once.memory:
        tiled.agreement["share of the memory"] = tiled.memory / at_once.memory
    rows = [_against(at_once, found) for found in (at_once, tiled)]
    return Table(title=f"A ResNet-9 generator, {size} × {size * 3 // 4} px, one image", weights="random", rows=rows)


def _once(name: str, translate: Callable[[Images], Images], image: Images, device: torch.device) -> tuple[Row, Images]:
    found: list[Images] = []
    gc.collect()
    start = read_clocks()
    memory = peak(lambda: found.append(translate(image)), device)
    finish(device)
    sample = between(start, read_clocks())
    return replace(row(Variant(name, lambda: None, {}), [sample], [sample]), memory=memory), found[0]


def _against(first: Row, found: Row) -> Row:
    ratio = first.seconds / found.seconds
    return replace(found, ratio=ratio, low=ratio, high=ratio)
