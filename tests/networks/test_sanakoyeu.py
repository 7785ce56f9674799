"""The networks of adaptive style transfer: sizes of the paper, padding as TensorFlow does it, pooling."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan.networks.sanakoyeu import (
    POOLED,
    AveragePooling,
    LearnedPooling,
    SameConv2d,
    ScaleDiscriminator,
    StyleBlock,
    StyleGenerator,
    smallest_side,
)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("settings", "encoder", "decoder"),
    [({}, 398_182, 11_608_608), ({"base_channels": 16, "blocks": 3}, 100_022, 1_133_328)],
)
def test_generators_have_the_parameters_of_the_authors_code(settings, encoder, decoder):
    with torch.device("meta"):
        network = StyleGenerator(**settings)
    assert (count(network.encoder), count(network.decoder)) == (encoder, decoder)


def test_the_discriminator_has_the_parameters_of_the_authors_code():
    with torch.device("meta"):
        assert count(ScaleDiscriminator()) == 50_510_848


def test_the_discriminator_scores_five_scales_of_768_pixels():
    with torch.device("meta"):
        scores = ScaleDiscriminator()(torch.empty(1, 3, 768, 768))
    assert [tuple(score.shape) for score in scores] == [(1, 1, side, side) for side in (384, 192, 48, 12, 6)]


@pytest.mark.parametrize("downsamplings", [2, 3, 4])
def test_codes_and_translations_have_whole_sides_from_the_smallest_one_on(downsamplings):
    network, stride = StyleGenerator(base_channels=1, blocks=1, downsamplings=downsamplings), 2**downsamplings
    least = smallest_side(downsamplings) // stride
    for height, width in ((least, least + 1), (least + 2, least + 3)):
        x = torch.rand(1, 3, height * stride, width * stride)
        assert network.encoder(x).shape == (1, 8, height, width)
        assert network(x).shape == x.shape


def test_a_side_below_the_smallest_cannot_be_taken():
    network = StyleGenerator(base_channels=1, blocks=1, downsamplings=2)
    side = smallest_side(2) - 4
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        network(torch.rand(1, 3, side, side))


def same(images: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A convolution position by position, whose windows are centered as in TensorFlow."""
    height, width, kernel = *images.shape[2:], weight.shape[-1]
    rows, columns = (-(-side // stride) for side in (height, width))
    before = [max((n - 1) * stride + kernel - side, 0) // 2 for n, side in ((rows, height), (columns, width))]
    padded = nn.functional.pad(images, (before[1], kernel, before[0], kernel))
    result = images.new_zeros(len(images), len(weight), rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = padded[..., i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            result[..., i, j] = torch.einsum("nchw,ochw->no", window, weight)
    return result


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (5, 1), (10, 1), (6, 1), (3, 1)])
@pytest.mark.parametrize("size", [(7, 8), (12, 9)])
def test_same_padding_is_that_of_tensorflow(kernel, stride, size):
    torch.manual_seed(0)
    layer, x = SameConv2d(2, 3, kernel, stride).double(), torch.rand(1, 2, *size, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(layer(x), same(x, layer.weight, stride), rtol=0, atol=1e-10)


def test_both_poolings_are_the_mean_of_windows_at_first_and_the_learned_one_is_a_weighted_mean():
    x = torch.rand(2, 3, 12, 14, dtype=torch.float64)
    means = torch.stack([x[..., i : i + POOLED, j : j + POOLED].mean((2, 3)) for i in range(3) for j in range(5)], -1)
    means, learned = means.view(2, 3, 3, 5), LearnedPooling().double()
    assert torch.allclose(AveragePooling()(x), means, rtol=0, atol=1e-10)
    assert torch.allclose(learned(x), means, rtol=0, atol=1e-10)
    with torch.no_grad():
        learned.weight.zero_()[:, :, 2, 1] = 7.0
    assert torch.allclose(learned(x), x[..., 2:5, 1:6], rtol=0, atol=1e-10)


@pytest.mark.parametrize("relu", [True, False])
def test_a_block_adds_to_its_input_and_may_have_a_relu_inside(relu):
    torch.manual_seed(0)
    block, x = StyleBlock(3, relu), torch.randn(1, 3, 5, 6)
    first, second = (layer for layer in block.body.modules() if isinstance(layer, nn.Conv2d))
    norm, padded = nn.functional.instance_norm, lambda features: nn.functional.pad(features, (1, 1, 1, 1), "reflect")
    inner = norm(first(padded(x)))
    expected = x + norm(second(padded(inner.relu() if relu else inner)))
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_the_norm_of_the_image_can_be_left_out():
    with torch.device("meta"):
        assert count(StyleGenerator(input_norm=True)) - count(StyleGenerator(input_norm=False)) == 6
