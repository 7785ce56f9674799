"""No option does nothing: every one, alone, changes what two steps of training come to."""

import os
from typing import Any

import pytest
import torch

from cyclegan.config import parse
from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods import build
from cyclegan.methods.settings import MethodConfig
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.settings import OptimizerConfig

TINY = """
name: cyclegan
generator: {base_channels: 2, blocks: 1}
discriminator: {base_channels: 2, layers: 2}
buffer_size: 1
"""
OPTIONS = [  # what `--set method.…` would be given; several of one line belong together
    "gan=vanilla",
    "gan=nonsaturating",
    "gan=minimax",
    "gan=hinge",
    "gan=wgan-gp",
    "cycle=ms-ssim",
    pytest.param("cycle=lpips", marks=pytest.mark.skipif("CYCLEGAN_WEIGHTS" not in os.environ, reason="no weights")),
    "lambda_cycle=3.0",
    "lambda_identity=0.0",
    "lambda_cycle_final=5.0 ramp=[0,2]",
    "lambda_identity_final=0.0 ramp=[1,1]",
    "lambda_gp=1.0",
    "lambda_r1=1.0",
    "buffer_size=0",
    "augment=[color]",
    "augment=[translation]",
    "augment=[cutout]",
]


def trained(*overrides: str) -> tuple[dict[str, float], dict[str, Any]]:
    """The losses of the second of two steps of an experiment's method, and the weights after it."""
    torch.manual_seed(0)
    method = build(parse(TINY, MethodConfig, "tiny", overrides))
    optimizers = Optimizers(method.players(), OptimizerConfig(lr=1e-2))
    for step in range(2):
        torch.manual_seed(step)
        batch = UnpairedBatch(*(torch.rand(2, 3, 32, 32) * 2 - 1 for _ in "xy"))
        losses = method.training_step(batch, optimizers.minimize)
    weights = {name: parameter.detach() for name, parameter in method.named_parameters()}
    return {name: loss.item() for name, loss in losses.items()}, weights


@pytest.fixture(scope="module")
def by_default() -> tuple[dict[str, float], dict[str, Any]]:
    return trained()


@pytest.mark.parametrize("option", OPTIONS)
def test_it_changes_losses_and_weights(option, by_default):
    losses, weights = trained(*option.split())
    assert losses != by_default[0]
    assert any(not torch.equal(weights[name], default) for name, default in by_default[1].items() if name in weights)
    assert all(weight.isfinite().all() for weight in weights.values())


def test_the_same_settings_give_the_same(by_default):
    losses, weights = trained()
    assert losses == by_default[0]
    assert all(torch.equal(weights[name], default) for name, default in by_default[1].items())


@pytest.mark.parametrize("one", ["gan=minimax", "gan=hinge", "gan=wgan-gp"])
def test_games_differ_from_each_other_and_vanilla_is_another_name_of_one(one):
    vanilla = trained("gan=vanilla")[0]
    assert trained("gan=nonsaturating")[0] == vanilla
    assert trained(one)[0] != vanilla
