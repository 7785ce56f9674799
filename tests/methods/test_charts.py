"""The charts of a method hold every loss that it may have, each in that of its group, whatever the settings."""

import re
from dataclasses import replace

import pytest
import torch
from building import build

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.cut import CUTConfig
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig

SMALL = {
    "generator": GeneratorConfig(base_channels=2, blocks=1),
    "discriminator": DiscriminatorConfig(base_channels=2, layers=1),
}
CYCLEGAN, CUT = CycleGANConfig(**SMALL), CUTConfig(**SMALL)
SETTINGS = {
    "the paper's": CYCLEGAN,
    "no identity": replace(CYCLEGAN, lambda_identity=0.0),
    "all penalties": replace(CYCLEGAN, lambda_r1=1.0, r1_every=1, gan="wgan-gp"),
    "CUT": CUT,
    "FastCUT": replace(CUT, lambda_identity=0.0),
}


def losses_of(method: torch.nn.Module) -> dict[str, list[str]]:
    """The names of the losses of a step by group of parameters."""
    found: dict[str, list[str]] = {}
    batch = UnpairedBatch(*(torch.rand(1, 3, 32, 32) * 2 - 1 for _ in "xy"))
    method.training_step(batch, lambda group, losses: found.update({group: list(losses)}))
    return found


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_loss_is_in_the_chart_of_its_group_and_in_no_other(settings):
    method = build(settings)
    for group, names in losses_of(method).items():
        for name in names:
            charts = [title for title, tags in method.charts.items() if any(re.fullmatch(tag, name) for tag in tags)]
            assert charts == [group]


@pytest.mark.parametrize("kinds", [["the paper's", "no identity", "all penalties"], ["CUT", "FastCUT"]])
def test_runs_of_a_method_have_the_same_charts_whatever_their_settings(kinds):
    first, *others = (build(SETTINGS[kind]).charts for kind in kinds)
    assert all(charts == first for charts in others)
