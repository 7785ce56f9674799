"""CycleGAN's training step at the paper's sizes: one picture of each side, 256 px, all losses, both optimizers.

Plain      benchmarks/plain.py.
Library    `training_step` with the loop's optimizers, in float32; in bfloat16 by autocast, as `precision: auto` chooses
           it where that is native; and compiled, as `compile: true` does.
Batches    larger ones where memory suffices, on devices that one picture does not fill; seconds and ratio are those of
           a picture a side.
Agreement  of the losses of the first step, and of the direction of the gradients of the generators and of the
           discriminators, with those of the plain one.
Memory     of a step after one to warm up: gradients and moments of Adam are then there already.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import torch
from material import CONTENT, STYLE, photograph
from paired import LEAST, Table, Variant, measure
from peaks import fits
from plain import Step, copy_weights
from plain import discriminator as plain_discriminator
from plain import generator as plain_generator
from torch import Tensor

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.device import autocast, choose_precision
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.compile_networks import compile_networks
from cyclegan.training.forecast import profile_step
from cyclegan.training.micro_batches import in_micro_batches
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig

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
    config = CycleGANConfig(generator=generator, discriminator=DiscriminatorConfig(**width))
    method = config.build(DataSpec()).to(device)
    plain = Step(partial(plain_generator, 4, 1), partial(plain_discriminator, 4)) if quick else Step()
    x, y = (photograph(name, size, device) for name in (CONTENT, STYLE))
    found = variants(method, plain, x, y, compiled=not quick)
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    kept = _kept(method, x, y) if batches else 0
    fitting = [count for count in batches if fits(count * kept, device)]
    for count in fitting:
        larger = Library(method, *(images.repeat(count, 1, 1, 1) for images in (x, y)), auto, compiled=not quick)
        title = f"library, {name}{', compiled' * (not quick)}, batch {count}"
        found.append(Variant(title, larger, count=count, flops=found[0].flops, dtype=auto))
    rows = measure(found, rounds, device, least=least)
    title = f"CycleGAN's training step, {size} px, one picture a side"
    if left_out := [str(count) for count in batches if count not in fitting]:
        title += f"; not enough memory for batches of {', '.join(left_out)}"
    return Table(title=title, weights="random", rows=rows)


def variants(method: CycleGAN, plain: Step, x: Tensor, y: Tensor, *, compiled: bool) -> list[Variant]:
    """The plain step and those of the library, from the same weights on the same pictures."""
    device = x.device
    networks = (plain.G, plain.F, plain.D_X, plain.D_Y)
    copy_weights((method.G, method.F, method.D_X, method.D_Y), networks)
    for network in networks:
        network.to(device)
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    ways = {
        "library, float32": Library(method, x, y, torch.float32),
        f"library, {name}": Library(method, x, y, auto),
    }
    if compiled:
        ways[f"library, {name}, compiled"] = Library(method, x, y, auto, compiled=True)
    if compiled and device.type == "cuda":
        ways[f"library, {name}, CUDA graphs"] = Library(method, x, y, auto, compiled=True, graphs=True)
    truth = plain(x, y)
    directions = gradients(plain)
    flops = profile_step(method, UnpairedBatch(x, y), TrainingConfig(steps=1), device).flops
    found = [Variant("plain, float32", lambda: plain(x, y), flops=flops)]
    for title, way in ways.items():
        losses = way()
        agreement = {"losses off by": max(abs(losses[key] / truth[key] - 1) for key in truth)}
        for players, direction in gradients(way.method).items():
            alike = torch.cosine_similarity(direction, directions[players], dim=0)
            agreement[f"cosine of {players} gradients"] = alike.item()
        found.append(Variant(title, way, agreement, flops=flops, dtype=way.dtype))
    return found


def _kept(method: CycleGAN, x: Tensor, y: Tensor) -> int:
    return profile_step(method, UnpairedBatch(x, y), TrainingConfig(steps=1, precision="auto"), x.device).kept


class Library:
    """The library's step on a copy of a method."""

    def __init__(
        self,
        method: CycleGAN,
        x: Tensor,
        y: Tensor,
        dtype: torch.dtype,
        compiled: bool = False,
        graphs: bool = False,
    ) -> None:
        self.method = deepcopy(method)
        self.batch, self.dtype = UnpairedBatch(x, y), dtype
        self.optimizers = Optimizers(self.method.parameter_groups(), OptimizerConfig())
        self.training_step = in_micro_batches(self.method, 1, graphs)
        if compiled:
            compile_networks(self.method, graphs=graphs)

    def __call__(self) -> dict[str, float]:
        """The losses by name."""
        with autocast(self.dtype, self.batch.x.device):
            losses = self.training_step(self.batch, self.optimizers.minimize)
        return {name: loss.item() for name, loss in losses.items()}


def gradients(networks: CycleGAN | Step) -> dict[str, Tensor]:
    """Of the last step, by those who moved."""
    return {
        "the generators'": _gradients(networks.G, networks.F),
        "the discriminators'": _gradients(networks.D_X, networks.D_Y),
    }


def _gradients(*networks: torch.nn.Module) -> Tensor:
    found = [p.grad.flatten().double() for network in networks for p in network.parameters() if p.grad is not None]
    return torch.cat(found)
