"""Every option has an effect: two steps of training with it end elsewhere than two without."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest
import torch
from building import build

from cyclegan.config import parse
from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods import METHODS
from cyclegan.methods.cut import CUTConfig
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.schedules import Schedule
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig

BASE = """
method:
  name: cyclegan
  generator: {base_channels: 4, blocks: 1}
  discriminator: {base_channels: 4, layers: 1}
  buffer_size: 1
training: {steps: 4, constant_fraction: 0.1}
"""
RESNET: tuple[str, ...] = ()
UNET = ("method.generator={name: unet, base_channels: 4, downsamplings: 4}",)
CUT = ("method={name: cut, generator: {base_channels: 4, blocks: 1}, discriminator: {base_channels: 4, layers: 1}}",)
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
    ("method.generator.stem=shuffle", RESNET),
    ("method.generator.residual_output=true", RESNET),
    ("method.generator.base_channels=5", UNET),
    ("method.generator.downsamplings=3", UNET),
    ("method.generator.downsampling=blur", UNET),
    *((f"method.generator.upsampling={kind}", UNET) for kind in ("resize", "shuffle", "blur")),
    *((f"method.generator.norm={kind}", UNET) for kind in ("batch", "layer", "group", "none")),
    *((f"method.generator.init={law}", UNET) for law in ("xavier", "kaiming", "orthogonal")),
    ("method.generator.dropout=0.5", UNET),
    ("method.generator.bias=always", (*UNET, "method.generator.norm=batch")),
    ("method.discriminator.base_channels=5", RESNET),
    ("method.discriminator.layers=0", RESNET),
    ("method.discriminator.layers=2", RESNET),
    ("method.discriminator.scales=2", RESNET),
    ("method.discriminator.bias=always", ("method.discriminator.layers=2", "method.discriminator.norm=batch")),
    *((f"method.discriminator.norm={kind}", RESNET) for kind in ("batch", "layer", "group", "spectral", "none")),
    *((f"method.discriminator.init={law}", RESNET) for law in ("xavier", "kaiming", "orthogonal")),
    # schedules
    ("training.steps=8", RESNET),
    *((f"training.schedule={kind}", RESNET) for kind in ("cosine", "step", "plateau", "inverse", "constant")),
    ("training.constant_fraction=0.5", RESNET),
    ("training.constant_fraction=0.5", STEPWISE),
    ("training.decay=0.5", STEPWISE),
    ("training.decay=0.5", IMPATIENT),
    ("training.patience=1", PLATEAU),
    ("training.warmup_steps=2", RESNET),
    ("training.optimizer.lr=1e-3", RESNET),
    ("training.optimizer.betas=[0.4, 0.999]", RESNET),
    ("training.ema=0.01", RESNET),
    # the game and the objective
    *((f"method.gan={game}", RESNET) for game in ("vanilla", "nonsaturating", "minimax", "hinge", "wgan-gp")),
    ("method.gan=minimax", ("method.gan=vanilla",)),
    *((f"method.cycle={distance}", RESNET) for distance in ("ms-ssim", "lpips")),
    ("method.lambda_cycle=3.0", RESNET),
    ("method.lambda_identity=0.0", RESNET),
    ("method.lambda_cycle_final=5.0", ("method.anneal=[0, 2]", "method.lambda_identity_final=0.5")),
    ("method.lambda_identity_final=0.0", ("method.anneal=[1, 1]", "method.lambda_cycle_final=10.0")),
    ("method.anneal=[0, 1]", ("method.anneal=[0, 2]", "method.lambda_cycle_final=5.0")),
    ("method.lambda_gp=1.0", RESNET),
    ("method.lambda_gp=1.0", ("method.gan=wgan-gp",)),
    ("method.lambda_r1=1.0", RESNET),
    ("method.r1_every=1", ("method.lambda_r1=1.0",)),
    ("method.buffer_size=0", RESNET),
    *((f"method.augment=[{kind}]", RESNET) for kind in ("color", "translation", "cutout")),
    ("training.optimizer.lr_factors={discriminators: 2.0}", RESNET),
    ("training.optimizer.update_every={discriminators: 2}", RESNET),
    ("training.optimizer.update_every={generators: 2}", RESNET),
    # CUT
    *((f"method.gan={game}", CUT) for game in ("vanilla", "nonsaturating", "minimax", "hinge")),
    ("method.lambda_nce=10.0", CUT),
    ("method.lambda_identity=0.0", CUT),
    ("method.patches=32", CUT),
    ("method.head_width=4", CUT),
    ("method.temperature=0.5", CUT),
    ("method.flip=true", CUT),
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    method: Annotated[Any, METHODS]
    training: TrainingConfig


def after_two_steps(*overrides: str) -> dict[str, torch.Tensor]:
    """The losses of the second step, the weights and their averages; each look at the run finds it no better."""
    settings = parse(BASE, Settings, "base.yaml", overrides)
    torch.manual_seed(0)
    method = build(settings.method)
    optimizers = Optimizers(method.parameter_groups(), settings.training.optimizer)
    ema = EMA(method.networks(), settings.training.ema)
    schedule = Schedule(settings.training, torch.device("cpu"))
    for step in range(2):
        torch.manual_seed(step)
        optimizers.set_learning_rates(step, schedule.factor(step))
        batch = UnpairedBatch(*(torch.rand(2, 3, 32, 32) * 2 - 1 for _ in "xy"))
        losses = method.training_step(batch, optimizers.minimize)
        ema.update()
        schedule.update({"distance": 1.0}, better=False)
    found = (*losses.items(), *method.named_parameters(), *ema.average.items())
    return {f"{place} {name}": tensor.detach() for place, (name, tensor) in enumerate(found)}


def differ(ones: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return ones.keys() != others.keys() or any(not torch.equal(ones[name], others[name]) for name in ones)


@pytest.mark.parametrize(("option", "beside"), ROWS, ids=lambda part: part if isinstance(part, str) else "")
def test_every_option_changes_the_result(option, beside, request):
    if option.endswith("lpips"):
        request.getfixturevalue("random_lpips")
    with_it = after_two_steps(*beside, option)
    assert differ(with_it, after_two_steps(*beside))
    assert all(torch.isfinite(tensor).all() for tensor in with_it.values())


@pytest.mark.parametrize("beside", [RESNET, CUT])
def test_the_same_settings_give_the_same_result(beside):
    assert not differ(after_two_steps(*beside), after_two_steps(*beside))


def test_vanilla_and_nonsaturating_are_two_names_of_one_game():
    assert not differ(after_two_steps("method.gan=vanilla"), after_two_steps("method.gan=nonsaturating"))


OPERATIONAL = {  # of training: how it is carried out, which must not change the result
    *("precision", "compile", "cuda_graphs", "accumulate", "activation_checkpointing", "device"),
    *("log_every", "sample_every", "save_every", "keep_checkpoints", "optimizer", "schedule"),
}


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        (CycleGANConfig, "method."),
        (CUTConfig, "method."),
        (GeneratorConfig, "method.generator."),
        (UnetConfig, "method.generator."),
        (DiscriminatorConfig, "method.discriminator."),
        (TrainingConfig, "training."),
        (OptimizerConfig, "training.optimizer."),
    ],
)
def test_no_setting_is_left_out_of_the_table(kind, where):
    names = {field.name for field in fields(kind)} - {"name", "generator", "discriminator", *OPERATIONAL}
    assert names
    tried = {option.partition("=")[0] for option, _ in ROWS}
    assert {f"{where}{name}" for name in names} <= tried
