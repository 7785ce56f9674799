"""A folder of JPEGs through a trained generator of the paper's size, in the precision of the device: pictures a second.

Turns      each picture is read, translated and written before the next is read.
Overlap    `cyclegan translate`: the next ones are read and the last ones written while one is translated.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from material import squares
from paired import LEAST, Row, Table, Variant, measure
from skimage import data

from cyclegan.device import choose_precision
from cyclegan.images.rgb8 import read_picture
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.source_image import USUAL, read_source, write_translation
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.translate.fit_memory import translate_in_memory
from cyclegan.translate.image_files import translate_planned
from cyclegan.translate.options import Options
from cyclegan.translate.output_paths import plan

SIZES = (256,)
QUICK_SIZES = (32,)
ABOUT = "benchmark"


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size."""
    quick = size in QUICK_SIZES
    torch.manual_seed(0)
    network = ResnetGenerator(base_channels=4, blocks=1) if quick else ResnetGenerator()
    precision = choose_precision("auto", device)
    translator = NetworkTranslator(inference_copy(network.to(device), precision), network.stride)
    count = 4 if quick else 32
    with tempfile.TemporaryDirectory() as place:
        squares(Path(place) / "photos", data.astronaut(), size, count)
        rows = _compared(translator, Path(place), count, rounds, device, least)
    name = str(precision).removeprefix("torch.")
    return Table(title=f"A folder of {count} JPEGs of {size} px, {name}, each", weights="random", rows=rows)


def _compared(
    translator: NetworkTranslator, place: Path, count: int, rounds: int, device: torch.device, least: float
) -> list[Row]:
    in_turns, overlapped = (plan([place / "photos"], place / way) for way in ("in turns", "overlapped"))
    variants = [
        Variant("one after another", lambda: one_after_another(translator, in_turns), count=count),
        Variant("overlapped", lambda: translate_planned(translator, overlapped, ABOUT, USUAL, Options()), count=count),
    ]
    rows = measure(variants, rounds, device, least=least)
    off = max(_levels(*targets) for targets in zip(in_turns, overlapped, strict=True))
    found = [{}, {"levels off at most": off}]
    return [
        replace(row, agreement={"pictures a second": 1 / row.seconds, **more})
        for row, more in zip(rows, found, strict=True)
    ]


def one_after_another(translator: NetworkTranslator, planned: Mapping[Path, Path]) -> None:
    """The same work, with nothing going on meanwhile."""
    for target, source in planned.items():
        original = read_source(source, USUAL.source)
        image = translate_in_memory(translator, original.image, [source])
        write_translation(target, image, original, USUAL, ABOUT)


def _levels(one: Path, other: Path) -> float:
    return float(np.abs(read_picture(one).astype(int) - read_picture(other)).max())
