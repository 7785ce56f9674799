"""Every option has an effect: two steps of training with it end elsewhere than two without."""

from dataclasses import dataclass

import pytest
import torch

from cyclegan.config import parse
from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods import build
from cyclegan.methods.settings import MethodConfig
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.schedules import Schedule
from cyclegan.training.settings import TrainingConfig

BASE = """
method:
  name: cyclegan
  generator: {base_channels: 4, blocks: 1}
  discriminator: {base_channels: 4, layers: 1}
training: {steps: 4, constant_share: 0.1}
"""
RESNET: tuple[str, ...] = ()
UNET = ("method.generator={name: unet, base_channels: 4, downsamplings: 4}",)
NO_NORM = ("method.generator.norm=none",)
STEPWISE = ("training.schedule=step",)
PLATEAU = ("training.schedule=plateau",)
IMPATIENT = ("training.schedule=plateau", "training.patience=1")

ROWS = [  # an option, and what both runs have set beside it
    # networks
    (UNET[0], RESNET),
    ("method.generator.base_channels=5", RESNET),
    ("method.generator.blocks=2", RESNET),
    ("method.generator.downsamplings=1", RESNET),
    ("method.generator.downsampling=blur", RESNET),
    *((f"method.generator.upsampling={kind}", RESNET) for kind in ("resize", "shuffle", "blur")),
    *((f"method.generator.norm={kind}", RESNET) for kind in ("batch", "layer", "group", "none")),
    *((f"method.generator.init={law}", RESNET) for law in ("xavier", "kaiming", "orthogonal")),
    *((f"method.generator.init={law}", NO_NORM) for law in ("xavier", "kaiming", "orthogonal")),
    ("method.generator.ends=shuffle", RESNET),
    ("method.generator.start=identity", RESNET),
    ("method.generator.base_channels=5", UNET),
    ("method.generator.downsamplings=3", UNET),
    ("method.generator.downsampling=blur", UNET),
    *((f"method.generator.upsampling={kind}", UNET) for kind in ("resize", "shuffle", "blur")),
    *((f"method.generator.norm={kind}", UNET) for kind in ("batch", "layer", "group", "none")),
    *((f"method.generator.init={law}", UNET) for law in ("xavier", "kaiming", "orthogonal")),
    ("method.generator.dropout=0.5", UNET),
    ("method.discriminator.base_channels=5", RESNET),
    ("method.discriminator.layers=0", RESNET),
    ("method.discriminator.layers=2", RESNET),
    ("method.discriminator.scales=2", RESNET),
    *((f"method.discriminator.norm={kind}", RESNET) for kind in ("batch", "layer", "group", "spectral", "none")),
    *((f"method.discriminator.init={law}", RESNET) for law in ("xavier", "kaiming", "orthogonal")),
    # schedules
    *((f"training.schedule={kind}", RESNET) for kind in ("cosine", "step", "plateau", "inverse", "constant")),
    ("training.constant_share=0.5", RESNET),
    ("training.constant_share=0.5", STEPWISE),
    ("training.decay=0.5", STEPWISE),
    ("training.decay=0.5", IMPATIENT),
    ("training.patience=1", PLATEAU),
    ("training.warmup_steps=2", RESNET),
    ("training.optimizer.lr=1e-3", RESNET),
    ("training.optimizer.betas=[0.4, 0.999]", RESNET),
    ("training.ema=0.01", RESNET),
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    method: MethodConfig
    training: TrainingConfig


def after_two_steps(*overrides: str) -> dict[str, torch.Tensor]:
    """The losses of the second step, and the averaged weights; each look at the run finds it no better."""
    settings = parse(BASE, Settings, "base.yaml", overrides)
    torch.manual_seed(0)
    method = build(settings.method)
    optimizers = Optimizers(method.players(), settings.training.optimizer)
    ema = EMA(method.networks(), settings.training.ema)
    schedule = Schedule(settings.training, torch.device("cpu"))
    for step in range(2):
        torch.manual_seed(step)
        optimizers.scale_learning_rate(schedule.factor(step))
        batch = UnpairedBatch(*(torch.rand(2, 3, 16, 16) * 2 - 1 for _ in "xy"))
        losses = method.training_step(batch, optimizers.minimize)
        ema.update()
        schedule.hear({"distance": 1.0}, better=False)
    return {name: loss.detach() for name, loss in losses.items()} | ema.average


def differ(ones: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return ones.keys() != others.keys() or any(not torch.equal(ones[name], others[name]) for name in ones)


@pytest.mark.parametrize(("option", "beside"), ROWS, ids=lambda part: part if isinstance(part, str) else "")
def test_every_option_changes_the_result(option, beside):
    with_it = after_two_steps(*beside, option)
    assert differ(with_it, after_two_steps(*beside))
    assert all(torch.isfinite(tensor).all() for tensor in with_it.values())


def test_the_same_settings_give_the_same_result():
    assert not differ(after_two_steps(), after_two_steps())
