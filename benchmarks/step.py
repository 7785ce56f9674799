"""CycleGAN's training step at the paper's sizes: one picture of each side, 256 px, all losses, both optimizers.

Plain      benchmarks/plain.py.
Library    `training_step` with the loop's optimizers, in float32; in bfloat16 by autocast, as `precision: auto` chooses
           it where that is native; and compiled, as `compile: true` does.
Batches    larger ones, on devices that one picture does not fill; seconds and ratio are those of a picture a side.
Agreement  of the losses of the first step, and of the direction of the generators' gradients, with those of the plain
           one.
Share      of the peak: the step's FLOPs (convolutions forward and backward, counted by PyTorch) over its seconds, as a
           share of what the device reaches in nothing but a residual block's convolution in the same precision.
Memory     what one step adds at its peak to the resident memory, after one to warm up; gradients and moments of Adam
           are then there already.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace

import torch
from material import CONTENT, STYLE, photograph
from paired import LEAST, Row, Table, Variant, measure
from plain import Step, copy_weights
from torch import Tensor

from cyclegan.data.batches import UnpairedBatch
from cyclegan.evaluation.timing import peak
from cyclegan.methods.cyclegan import CycleGAN
from cyclegan.methods.settings import CycleGANConfig
from cyclegan.networks.settings import DiscriminatorConfig, GeneratorConfig
from cyclegan.precision import autocast, choose_precision
from cyclegan.training.compiling import compile_networks
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.plan import rehearse
from cyclegan.training.settings import OptimizerConfig, TrainingConfig

SIZES = (256,)
QUICK_SIZES = (32,)
BATCHES = (4, 16, 32)


def run(
    size: int, rounds: int, device: torch.device, least: float = LEAST, batches: Sequence[int] | None = None
) -> Table:
    """At one size."""
    batches = (() if device.type == "cpu" else BATCHES) if batches is None else batches
    quick = size in QUICK_SIZES
    torch.manual_seed(0)
    width = dict(base_channels=4) if quick else {}
    generator = GeneratorConfig(**width, blocks=1) if quick else GeneratorConfig()
    method = CycleGAN(CycleGANConfig(generator=generator, discriminator=DiscriminatorConfig(**width))).to(device)
    x, y = (photograph(name, size, device) for name in (CONTENT, STYLE))
    plain = Step(4, 1) if quick else Step()
    networks = (method.G, method.F, method.D_X, method.D_Y)
    copy_weights(networks, (plain.G, plain.F, plain.D_X, plain.D_Y))
    for network in (plain.G, plain.F, plain.D_X, plain.D_Y):
        network.to(device)
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    variants = {
        "library, float32": Library(method, x, y, torch.float32),
        f"library, {name}": Library(method, x, y, auto),
    }
    if not quick:
        variants[f"library, {name}, compiled"] = Library(method, x, y, auto, compiled=True)
    truth = plain(x, y)
    direction = _gradients(plain.G, plain.F)
    found = [
        Variant("plain, float32", lambda: plain(x, y), {"MB at the peak": _megabytes(lambda: plain(x, y), device)})
    ]
    for title, variant in variants.items():
        losses = variant()
        agreement = {
            "losses off by": max(abs(losses[key] / truth[key] - 1) for key in truth),
            "cosine of gradients": float(torch.cosine_similarity(variant.gradients(), direction, dim=0)),
        }
        agreement["MB at the peak"] = _megabytes(variant, device)
        found.append(Variant(title, variant, agreement))
    for count in batches:
        larger = Library(method, *(images.repeat(count, 1, 1, 1) for images in (x, y)), auto, compiled=not quick)
        found.append(Variant(f"library, {name}{', compiled' * (not quick)}, batch {count}", larger, count=count))
    flops = rehearse(method, UnpairedBatch(x, y), TrainingConfig(steps=1), device).flops
    limits = {dtype: fastest(dtype, size, device) for dtype in {torch.float32, auto}}

    def with_share(row: Row) -> Row:
        limit = limits[torch.float32 if "float32" in row.variant else auto]
        return replace(row, agreement=row.agreement | {"share of the peak": flops / row.seconds / limit})

    rows = [with_share(row) for row in measure(found, rounds, device, least=least)]
    return Table(title=f"CycleGAN's training step, {size} px, one picture a side", weights="random", rows=rows)


def fastest(dtype: torch.dtype, size: int, device: torch.device) -> float:
    """FLOP/s of the convolution that most of the step consists of."""
    side, channels = size // 4, 256
    images = torch.randn(1, channels, side + 2, side + 2, device=device, dtype=dtype)
    convolve = torch.nn.Conv2d(channels, channels, 3, device=device, dtype=dtype)
    with torch.no_grad():
        rows = measure([Variant("", lambda: convolve(images))], 5, device)
    return 2 * 9 * channels**2 * side**2 / rows[0].seconds


class Library:
    """The library's step on a copy of a method."""

    def __init__(self, method: CycleGAN, x: Tensor, y: Tensor, dtype: torch.dtype, compiled: bool = False) -> None:
        self.method = deepcopy(method)
        self.batch, self.dtype = UnpairedBatch(x, y), dtype
        self.optimizers = Optimizers(self.method.players(), OptimizerConfig())
        if compiled:
            compile_networks(self.method)

    def __call__(self) -> dict[str, float]:
        """The losses by name."""
        with autocast(self.dtype, self.batch.x.device):
            losses = self.method.training_step(self.batch, self.optimizers.minimize)
        return {name: loss.item() for name, loss in losses.items()}

    def gradients(self) -> Tensor:
        """Of the generators."""
        return _gradients(self.method.G, self.method.F)


def _gradients(*networks: torch.nn.Module) -> Tensor:
    found = [p.grad.flatten().double() for network in networks for p in network.parameters() if p.grad is not None]
    return torch.cat(found)


def _megabytes(call: Callable[[], object], device: torch.device) -> float:
    found = peak(call, device)
    return float("nan") if found is None else found / 1e6
