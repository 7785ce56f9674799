"""What a newcomer feels: the training step of the embedded recipe, four pictures of each side, 64 px.

Networks   and losses are those of experiments/cyclegan/photo2painting.yaml, but for the penalty R1, which comes in one
           step of sixteen, and for the last layer of the generators. It starts with zeros there, and the layers before
           it with no gradient that could be compared.
Plain      and all else as in step.py.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from material import CONTENT, STYLE, photograph
from paired import LEAST, Table, measure
from plain import SmallGenerator, Step, discriminator
from step import variants
from torch import Tensor, nn

from cyclegan.config import load
from cyclegan.data.spec import DataSpec
from cyclegan.experiment import Experiment

SIZES = (64,)
QUICK_SIZES = (32,)
RECIPE = Path(__file__).parents[1] / "experiments" / "cyclegan" / "photo2painting.yaml"


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size."""
    torch.manual_seed(0)
    config = replace(load(RECIPE, Experiment).method, lambda_r1=0.0)
    method = config.build(DataSpec()).to(device)
    for generator in (method.G, method.F):
        *_, last = (layer for layer in generator.modules() if isinstance(layer, nn.Conv2d))
        nn.init.normal_(last.weight, std=0.02)
    judge = partial(discriminator, 32, layers=2, norm=False)
    plain = Step(SmallGenerator, judge, config.lambda_cycle, config.lambda_identity)
    x, y = (_quarters(photograph(name, 2 * size, device)) for name in (CONTENT, STYLE))
    rows = measure(variants(method, plain, x, y, compiled=size not in QUICK_SIZES), rounds, device, least=least)
    title = f"The training step of the embedded recipe, {size} px, {len(x)} pictures a side"
    return Table(title=title, weights="random", rows=rows)


def _quarters(image: Tensor) -> Tensor:
    return torch.cat([quarter for half in image.chunk(2, dim=2) for quarter in half.chunk(2, dim=3)])
