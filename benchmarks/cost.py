"""What a training step of the paper's CycleGAN costs, by the side of the pictures and the size of the batch.

Step       of the library, in the precision that `auto` chooses; every size once to warm up, then once or for a second.
Memory     what the step adds at its peak to the resident memory.
Exponents  p of cost ∝ side^p at batch 1, a line through the logarithms of the two largest sides and of all.
Ratio      against the smallest.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from material import CONTENT, STYLE, photograph
from paired import LEAST, Row, Table, Variant, between, finish, read_clocks, row
from peaks import fastest, fits, flops
from step import Library

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.device import choose_precision
from cyclegan.evaluation.timing import give_back, peak
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.forecast import profile_step
from cyclegan.training.training_config import TrainingConfig

SIZES = (512,)  # the largest: the others are halves of it
QUICK_SIZES = (128,)
SMALLEST = 64
BATCHES = (1, 2, 4)


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """All sides up to one; every step is measured once, however many rounds are asked for."""
    del rounds, least
    quick = size in QUICK_SIZES
    generator = GeneratorConfig(base_channels=4, blocks=1) if quick else GeneratorConfig()
    width = dict(base_channels=4) if quick else {}
    torch.manual_seed(0)
    config = CycleGANConfig(generator=generator, discriminator=DiscriminatorConfig(**width), buffer_size=0)
    method = config.build(DataSpec()).to(device)
    sides = [size >> i for i in range(int(math.log2(size // SMALLEST)) + 1)][::-1]
    known = sides[len(sides) // 2]  # of the smallest, weights in bfloat16 would be most
    kept = _activations(method, known, device)
    rows: list[Row] = []
    left_out = []
    for side in sides:
        for count in BATCHES:
            name = f"{side} px, batch {count}"
            if fits(kept * count * (side / known) ** 2, device):
                rows.append(_measured(name, method, side, count, device))
            else:
                left_out.append(name)
            give_back()
    alone = {side: found for side in sides for found in rows if found.variant == f"{side} px, batch 1"}
    title = f"The cost of a training step, {str(choose_precision('auto', device)).removeprefix('torch.')}"
    if len(alone) > 1:
        seconds = _exponents({side: found.seconds for side, found in alone.items()})
        memory = _exponents({side: found.memory or math.nan for side, found in alone.items()})
        title += f": seconds ∝ side^{seconds}, memory ∝ side^{memory}"
    if left_out:
        title += f"; not enough memory for {', '.join(left_out)}"
    first = rows[0].seconds
    ratios = [first / found.seconds for found in rows]
    rows = [replace(found, ratio=r, low=r, high=r) for found, r in zip(rows, ratios, strict=True)]
    return Table(title=title, weights="random", rows=rows)


def _activations(method: CycleGAN, side: int, device: torch.device) -> int:
    x, y = (photograph(name, side, device) for name in (CONTENT, STYLE))
    return profile_step(method, UnpairedBatch(x, y), TrainingConfig(steps=1, precision="auto"), device).kept


def _measured(name: str, method: CycleGAN, side: int, count: int, device: torch.device) -> Row:
    batch = UnpairedBatch(*(photograph(of, side, device).repeat(count, 1, 1, 1) for of in (CONTENT, STYLE)))
    step = Library(method, *(images[:1, :, :SMALLEST, :SMALLEST] for images in batch), choose_precision("auto", device))
    step()  # gradients and moments of Adam are there from now on
    step.batch = batch
    memory = peak(step, device)
    start, calls = read_clocks(), 0
    while not calls or read_clocks().wall - start.wall < 1:
        step()
        calls += 1
    finish(device)
    sample = between(start, read_clocks(), calls)
    step.batch = UnpairedBatch(*(images[:1] for images in batch))  # counting takes long, and all pictures cost the same
    asked = count * flops(step)
    share = asked / sample.seconds / fastest(step.dtype, device)
    found = row(Variant(name, step, {"pictures a second": 2 * count / sample.seconds}, flops=asked), [sample], [sample])
    return replace(found, quiet=None if sample.others is None else sample.quiet, memory=memory, share=share)


def _exponents(costs: dict[int, float]) -> str:
    x, y = np.log(list(costs)), np.log(list(costs.values()))
    return f"{np.polyfit(x[-2:], y[-2:], 1)[0]:.2f} (all sides: {np.polyfit(x, y, 1)[0]:.2f})"
