"""Weights start as the papers of their laws say."""

import pytest
import torch
from torch import nn

from cyclegan.networks.initialization import initialize_
from cyclegan.networks.layers import ResnetBlock


def network(norm: str = "instance", init: str = "normal", **options) -> nn.Sequential:
    """Three convolutions of which the middle one is looked at."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Conv2d(128, 3, 3))
    initialize_(layers, norm, init, **options)
    return layers


@pytest.mark.parametrize(
    ("init", "std"),
    [("normal", 0.02), ("xavier", (2 / (9 * 64 + 9 * 128)) ** 0.5), ("kaiming", (2 / (9 * 64)) ** 0.5)],
)
def test_the_variance_is_that_of_the_law(init, std):
    weight = network(init=init)[1].weight
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert weight.mean().abs() < 0.05 * std


def test_orthogonal_rows_are_orthonormal():
    rows = network(init="orthogonal")[1].weight.flatten(1)
    assert torch.allclose(rows @ rows.T, torch.eye(128), atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "spectral"])
def test_without_a_norm_the_normal_law_gives_way_to_hes_but_for_the_last_layer(norm):
    first, middle, _, last = network(norm)
    assert middle.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert first.weight.std().item() == pytest.approx((2 / (9 * 3)) ** 0.5, rel=0.05)
    assert last.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("init", ["normal", "xavier", "kaiming", "orthogonal"])
@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "group", "none"])
def test_biases_are_zero_batch_norms_near_one_and_a_last_layer_is_zero_if_asked_for(init, norm):
    for zero_last in (True, False):
        layers = network(norm, init, zero_last=zero_last)
        assert not any(layer.bias.any() for layer in layers)
        assert layers[2].weight.mean().item() == pytest.approx(1, abs=0.01)
        assert layers[2].weight.std().item() == pytest.approx(0.02, rel=0.2)
        assert bool(layers[3].weight.any()) != zero_last


@pytest.mark.parametrize("init", ["normal", "xavier", "kaiming", "orthogonal"])
def test_branches_without_norms_start_at_a_tenth(init):
    sizes = []
    for norm in ("instance", "none"):
        torch.manual_seed(0)
        layers = nn.Sequential(ResnetBlock(32, norm), nn.Conv2d(32, 3, 3))
        initialize_(layers, norm, init if norm == "instance" or init != "normal" else "kaiming")
        sizes.append(layers[0].body[5].weight.std().item())
    if init != "normal":
        assert sizes[1] == pytest.approx(sizes[0] / 10)
    else:
        assert sizes[1] == pytest.approx((2 / (9 * 32)) ** 0.5 / 10, rel=0.05)


def test_weights_can_be_drawn_without_memory():
    with torch.device("meta"):
        for init in ("normal", "xavier", "kaiming", "orthogonal"):
            network(init=init)
