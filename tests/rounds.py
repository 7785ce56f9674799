"""Rounds of a game between small networks on images of noise: what they cost, and whom they change."""

from typing import Any

import torch
from building import build
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.cut import CUTConfig
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig


def tiny(
    norm: str = "instance",
    seed: int = 0,
    *,
    config: type[CUTConfig | CycleGANConfig] = CycleGANConfig,
    blocks: int = 1,
    **settings: Any,
) -> Any:
    """The method of these settings, in networks of two channels."""
    torch.manual_seed(seed)
    generator = GeneratorConfig(base_channels=2, blocks=blocks)
    discriminator = DiscriminatorConfig(base_channels=2, layers=2, norm=norm)
    return build(config(generator=generator, discriminator=discriminator, **settings))


def batch(count: int = 1, seed: int = 0, side: int = 16) -> UnpairedBatch:
    random = torch.Generator().manual_seed(seed)
    return UnpairedBatch(*(torch.rand(count, 3, side, side, generator=random) * 2 - 1 for _ in "xy"))


def losses_of(method: Any, seen: UnpairedBatch, seed: int = 0) -> dict[str, float]:
    """The losses of a round in which nobody moves."""
    torch.manual_seed(seed)
    return {name: loss.item() for name, loss in method.training_step(seen, lambda player, losses: None).items()}


def play(method: Any, rounds: range, optimizers: Optimizers | None = None) -> dict[str, float]:
    """Rounds with moves; the losses of the last."""
    optimizers = optimizers or Optimizers(method.parameter_groups(), OptimizerConfig())
    for k in rounds:
        torch.manual_seed(k)
        losses = method.training_step(batch(seed=k), optimizers.minimize)
    return {name: loss.item() for name, loss in losses.items()}


def snapshot(method: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in method.state_dict().items()}


def changed(method: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """The networks and other parts whose state is another than before."""
    after = method.state_dict()
    assert after.keys() == before.keys()
    return {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
