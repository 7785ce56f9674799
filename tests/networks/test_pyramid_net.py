"""PyramidNet: published sizes, its layers written out, circular shifts, and the noise of evaluation."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, leaky_relu, pad

from cyclegan.networks.build import build_pyramid_net
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.network_config import PyramidConfig
from cyclegan.networks.pyramid_net import PyramidNet

MEAN = torch.tensor([123.68, 116.779, 103.939])[:, None, None]


def net(**options: Any) -> PyramidNet:
    torch.manual_seed(0)
    return PyramidNet(**{"levels": 3} | options)


def images(height: int = 16, width: int = 24, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def noise_of(network: PyramidNet, height: int, width: int, seed: int = 0, count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(count, *shape, generator=generator) for shape in network.noise_shapes(height, width)]


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"levels": 5, "image": False}, 71_659),
        ({"levels": 6, "image": False}, 116_915),
        ({"levels": 5}, 72_739),
        ({"levels": 6}, 118_211),
    ],
)
def test_the_generators_have_the_published_numbers_of_parameters(options, parameters):
    with torch.device("meta"):
        network = build_pyramid_net(PyramidConfig(**options))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("size", [(16, 24), (8, 12)])
@pytest.mark.parametrize(
    "options", [{}, {"image": False}, {"noise": 0}, {"padding": "replicate", "slope": 0.0}], ids=str
)
def test_sides_that_are_multiples_of_the_stride_are_kept(options, size):
    assert net(**options)(images(*size)).shape == (2, 3, *size)


def test_a_pyramid_of_one_level_is_a_plain_network_of_convolutions():
    """Three convolutions, each padded around the edges, with batch norm and leaky ReLU, and a last one to RGB."""
    network = net(levels=1)
    x, (z,) = images(), noise_of(network, 16, 24)
    features, state = torch.cat([z, (x + 1) / 2], dim=1), list(network.parameters())
    for i, side in ((0, 1), (4, 1), (8, 0)):
        weight, bias, gain, offset = state[i : i + 4]
        convolved = conv2d(pad(features, [side] * 4, "circular"), weight, bias)
        features = leaky_relu(batch_norm(convolved, None, None, gain, offset, training=True), 0.01)
    levels = conv2d(features, *state[12:]) + MEAN
    assert torch.allclose((network(x, [z]) + 1) * 127.5, levels, atol=1e-3)


@torch.no_grad()
def test_a_shift_of_the_noise_shifts_the_texture_around_the_edges():
    """By (4, 8) px of the finest of three sizes, (2, 4) and (1, 2) of the others; in float64."""
    network = net(image=False).double()
    network(images().double(), [z.double() for z in noise_of(network, 16, 24, seed=1)])  # statistics of the batch norms
    network.eval()
    noise = [z.double() for z in noise_of(network, 16, 24)]
    shifted = [z.roll((1 << level, 2 << level), (2, 3)) for level, z in enumerate(noise)]
    texture = network(images().double(), noise)
    assert texture.std() > 1e-3
    assert torch.allclose(network(images().double(), shifted), texture.roll((4, 8), (2, 3)), atol=1e-12)


def test_textures_take_only_the_size_from_an_image():
    network = net(image=False).eval()
    assert torch.equal(network(images()), network(-images()))
    assert not torch.equal(net().eval()(images()), net().eval()(-images()))


def test_the_noise_of_evaluation_is_the_same_for_every_image_and_call():
    network = net().eval()
    whole = network(images())
    assert torch.equal(whole, network(images()))
    assert torch.allclose(whole[1:], network(images()[1:]), atol=1e-6)


def test_the_noise_of_evaluation_looks_uniform_and_independent():
    """Quartiles, means by channel and level, and correlations with the neighbors, of 6 × 64 × 64 numbers."""
    noise = torch.cat([z for z in net(levels=2).fixed_noise(torch.zeros(1, 3, 128, 128, dtype=torch.float64))][1:], 1)
    assert noise.min() >= 0
    assert noise.max() < 1
    for quarter in (0.25, 0.5, 0.75):
        assert (noise < quarter).double().mean().item() == pytest.approx(quarter, abs=0.01)
    centered = noise[0] - noise[0].mean()
    power = centered.square().mean()
    pairs = [
        (centered[:, 1:], centered[:, :-1]),
        (centered[..., 1:], centered[..., :-1]),
        (centered[:, 1:, 1:], centered[:, :-1, :-1]),
        (centered[1:], centered[:-1]),
    ]
    for one, other in pairs:
        assert abs((one * other).mean() / power) < 0.03


@torch.no_grad()
def test_an_inference_copy_generates_the_same():
    network = net(norm="instance").eval()
    assert torch.allclose(inference_copy(network, torch.float32)(images()), network(images()), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"levels": 0}, "levels: must be at least 1"),
        ({"noise": 0, "image": False}, "noise: must be at least 1 without the image"),
        ({"slope": -0.1}, "slope: must be at least 0"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        PyramidConfig(**settings)
