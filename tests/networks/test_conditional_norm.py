"""ConditionalNormNet: sizes of the published network, rows of single styles, mixtures, and AdaIN as a special row."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan.functional.statistics import adain, mean_std
from cyclegan.networks.conditional_norm import ConditionalInstanceNorm, ConditionalNormNet


def small(styles: int = 3, seed: int = 0) -> ConditionalNormNet:
    """In float64, with rows that differ from each other."""
    torch.manual_seed(seed)
    network = ConditionalNormNet(styles, base_channels=2, blocks=1).double()
    for row in network.rows:
        nn.init.normal_(row, mean=0.5)
    return network


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def one_hot(*styles: int, of: int = 3) -> Tensor:
    return nn.functional.one_hot(torch.tensor(styles), of).double()[:, :, None, None]


def count(parameters) -> int:
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize("styles", [1, 32])
def test_it_has_the_parameters_of_the_papers_network(styles):
    with torch.device("meta"):
        network = ConditionalNormNet(styles)
    assert count(network.rows) == styles * 3_206
    assert count(network.parameters()) == 1_674_432 + styles * 3_206


def test_untrained_rows_leave_the_norms_as_they_are():
    network = ConditionalNormNet(2, base_channels=2, blocks=1)
    for scale, shift in network.rows:
        assert torch.equal(scale, torch.ones_like(scale))
        assert torch.equal(shift, torch.zeros_like(shift))


@pytest.mark.parametrize("size", [(8, 8), (20, 32)])
def test_images_keep_their_size_and_lie_within_their_range(size):
    drawn = small()(noise(2, 3, *size), one_hot(0, 2))
    assert drawn.shape == (2, 3, *size)
    assert drawn.abs().max() < 1


def test_a_forward_pass_written_by_hand_gives_the_same():
    network, images = small(), noise(1, 3, 16, 12)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    scales, shifts = network.rows[1]
    used = 0

    def layer(features: Tensor, number: int, stride: int = 1) -> Tensor:
        nonlocal used
        weight = convolutions[number].weight
        channels, kernel = weight.shape[0], weight.shape[2]
        padded = nn.functional.pad(features, [kernel // 2] * 4, mode="reflect")
        features = nn.functional.conv2d(padded, weight, stride=stride)
        mean, variance = features.mean((2, 3), keepdim=True), features.var((2, 3), correction=0, keepdim=True)
        scale, shift = (each[used : used + channels, None, None] for each in (scales, shifts))
        used += channels
        return scale * (features - mean) / (variance + 1e-5).sqrt() + shift

    def larger(features: Tensor) -> Tensor:
        return features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    features = layer((images + 1) / 2, 0).relu()
    features = layer(features, 1, stride=2).relu()
    features = layer(features, 2, stride=2).relu()
    features = features + layer(layer(features, 3).relu(), 4)
    features = layer(larger(features), 5).relu()
    features = layer(larger(features), 6).relu()
    drawn = 2 * layer(features, 7).sigmoid() - 1
    assert used == scales.numel()
    assert torch.allclose(network(images, one_hot(1)), drawn, atol=1e-12)


def test_a_batch_of_several_styles_is_their_separate_translations():
    network, images = small(), noise(3, 3, 16, 16)
    together = network(images, one_hot(2, 0, 1))
    for i, style in enumerate((2, 0, 1)):
        assert torch.allclose(together[i : i + 1], network(images[i : i + 1], one_hot(style)), atol=1e-12)


def test_a_mixture_with_all_weight_on_one_style_is_that_style_to_the_bit():
    network, images = small().float(), noise(1, 3, 16, 16).float()
    alone = ConditionalNormNet(1, base_channels=2, blocks=1)
    alone.load_state_dict({name: value for name, value in network.state_dict().items() if "rows" not in name}, False)
    alone.rows[0].data = network.rows[1].data
    assert torch.equal(network(images, one_hot(1).float()), alone(images, torch.ones(1, 1, 1, 1)))


def test_a_mixture_is_the_network_with_the_mean_row():
    network, images = small(), noise(1, 3, 16, 16)
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)[None, :, None, None]
    mixed = network(images, weights)
    network.rows[0].data = sum(w * row.data for w, row in zip((0.2, 0.3, 0.5), network.rows, strict=True))
    assert torch.allclose(mixed, network(images, one_hot(0)), atol=1e-12)


def test_weights_of_every_position_that_are_all_equal_are_those_of_the_image():
    network, images = small(), noise(1, 3, 16, 16)
    weights = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)[None, :, None, None]
    assert torch.allclose(network(images, weights.expand(1, 3, 16, 16)), network(images, weights), atol=1e-12)


def test_weights_of_every_position_give_each_region_its_style():
    layer, features = ConditionalInstanceNorm(2), noise(1, 2, 4, 6)
    rows = noise(3, 2, 2, seed=2)
    left = torch.zeros(1, 3, 1, 2, dtype=torch.float64)
    left[0, 0, 0, 0] = left[0, 2, 0, 1] = 1
    mixed = layer(features, rows, left)
    assert torch.allclose(mixed[..., :3], layer(features, rows, one_hot(0))[..., :3])
    assert torch.allclose(mixed[..., 3:], layer(features, rows, one_hot(2))[..., 3:])


def test_weights_may_be_given_for_some_of_the_styles_alone():
    network, images = small(), noise(1, 3, 16, 16)
    all_of_them = torch.tensor([0.75, 0.0, 0.25], dtype=torch.float64)[None, :, None, None]
    some = torch.tensor([0.25, 0.75], dtype=torch.float64)[None, :, None, None]
    assert torch.allclose(network(images, some, (2, 0)), network(images, all_of_them), atol=1e-12)


def test_styles_that_are_not_in_the_batch_have_gradients_of_zero():
    network = small()
    network(noise(2, 3, 16, 16), one_hot(1, 1)).square().mean().backward()
    slopes = [row.grad.abs().max().item() for row in network.rows]
    assert slopes[0] == slopes[2] == 0
    assert slopes[1] > 0


def test_with_the_statistics_of_a_style_the_norm_is_adain():
    content, style = noise(2, 5, 6, 6), noise(1, 5, 7, 8, seed=2)
    mean, deviation = mean_std(style, eps=0.0)
    rows = torch.stack([deviation.flatten(), mean.flatten()])[None]
    layer = ConditionalInstanceNorm(5)
    layer.norm.eps = 0.0
    assert torch.allclose(layer(content, rows, one_hot(0, of=1)), adain(content, style), atol=1e-9)
