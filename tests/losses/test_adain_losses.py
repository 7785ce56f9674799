"""AdaIN's losses: where they are zero, values by hand, and what lies between the two presets."""

import pytest
import torch
from torch import Tensor

from cyclegan.losses.adain_losses import LAMBDA_STYLE, adain_content_loss, adain_style_loss

CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
PRESETS = ["original", "port"]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_content_loss_is_the_mean_square():
    assert adain_content_loss(torch.full((1, 2, 3, 3), 2.0), torch.full((1, 2, 3, 3), 0.5)).item() == 1.5**2


@pytest.mark.parametrize("preset", PRESETS)
def test_the_style_loss_is_zero_for_features_with_the_same_statistics_elsewhere(preset):
    style = noise(2, 4, 6, 6)
    moved = style.flatten(2)[..., torch.randperm(36)].reshape(2, 4, 6, 6)
    tiled = style.repeat(1, 1, 2, 3)  # of another size
    for found in (style, moved, tiled):
        assert adain_style_loss({"relu1_1": found}, {"relu1_1": style}, preset).item() < 1e-12


@pytest.mark.parametrize(("preset", "expected"), [("original", 3 * (4 + 9)), ("port", 4 + 9)])
def test_the_style_loss_by_hand(preset, expected):
    """Three channels of mean 0 and deviation 1 against mean 2 and deviation 4: 2² + 3² each."""
    signs = torch.tensor([1.0, -1.0]).double().repeat(8).reshape(1, 1, 4, 4)
    found = signs.expand(5, 3, 4, 4)
    loss = adain_style_loss({"relu1_1": found}, {"relu1_1": 4 * found + 2}, preset)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_taps_add_up_and_images_are_averaged(preset):
    a, b = ({tap: noise(2, c, 4, 4, seed=c + k) for tap, c in (("relu1_1", 3), ("relu2_1", 5))} for k in (0, 1))
    whole = adain_style_loss(a, b, preset)
    alone = [adain_style_loss({tap: a[tap][i : i + 1]}, {tap: b[tap][i : i + 1]}, preset) for tap in a for i in (0, 1)]
    assert whole.item() == pytest.approx(sum(alone).item() / 2)


@pytest.mark.parametrize(("tap", "factor"), [("relu1_1", 15.6), ("relu2_1", 7.8), ("relu3_1", 3.9), ("relu4_1", 1.95)])
def test_a_tap_counts_1000_times_more_per_channel_in_the_port(tap, factor):
    found, style = ({tap: noise(1, CHANNELS[tap], 4, 4, seed=seed)} for seed in (0, 1))
    original, port = (LAMBDA_STYLE[preset] * adain_style_loss(found, style, preset) for preset in PRESETS)
    assert (port / original).item() == pytest.approx(1000 / CHANNELS[tap])
    assert 1000 / CHANNELS[tap] == pytest.approx(factor, rel=0.005)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_gradient_moves_the_statistics_towards_the_style(preset):
    found, style = noise(1, 4, 8, 8).requires_grad_(), {"relu1_1": 3 * noise(1, 4, 8, 8, seed=1) + 1}
    before = adain_style_loss({"relu1_1": found}, style, preset)
    (slope,) = torch.autograd.grad(before, found)
    assert adain_style_loss({"relu1_1": found - 10 * slope}, style, preset) < 0.9 * before


@pytest.mark.parametrize("preset", PRESETS)
def test_half_precision_features_are_compared_in_full_precision(preset):
    found, style = (({"relu4_1": noise(1, 512, 4, 4, seed=seed).bfloat16()}) for seed in (0, 1))
    loss = adain_style_loss(found, style, preset)
    assert loss.dtype == adain_content_loss(found["relu4_1"], style["relu4_1"]).dtype == torch.float32
    in_full = adain_style_loss({"relu4_1": found["relu4_1"].float()}, {"relu4_1": style["relu4_1"].float()}, preset)
    assert loss.item() == pytest.approx(in_full.item(), rel=1e-5)
