"""Half the size and twice the size: what aliases, what draws checkerboards, and what does neither."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate, pad

from cyclegan.networks.initialization import initialize_
from cyclegan.networks.resampling import BlurPool, upsample, upsample_layers

KINDS = ["transposed", "resize", "shuffle", "blur", "resize_zeros", "blur_zeros"]


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 8), (16, 2)])
def test_blur_pooling_is_zhangs_filter_at_every_second_pixel(height, width):
    torch.manual_seed(0)
    features = torch.randn(2, 3, height, width, dtype=torch.float64)
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    kernel = (row[:, None] * row / 16).expand(3, 1, 3, 3)
    expected = conv2d(pad(features, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=3)
    assert torch.allclose(BlurPool()(features), expected)


def test_blur_pooling_keeps_the_mean_where_striding_picks_one_pixel_of_a_pattern():
    stripes = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    assert BlurPool()(stripes).abs().max() < 1e-6
    assert stripes[..., ::2, ::2].mean() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (5, 4)])
def test_every_kind_doubles_every_size(kind, kernel, height, width):
    larger = nn.Sequential(*upsample_layers(3, 2, kind, kernel=kernel))
    assert larger(torch.randn(1, 3, height, width)).shape == (1, 2, 2 * height, 2 * width)


@pytest.mark.parametrize(("kind", "kernels"), [("transposed", 9), ("resize", 9), ("shuffle", 36), ("blur", 9)])
def test_every_kind_has_its_number_of_parameters(kind, kernels):
    larger = nn.Sequential(*upsample_layers(3, 2, kind))
    biases = 8 if kind == "shuffle" else 2
    assert sum(parameter.numel() for parameter in larger.parameters()) == kernels * 3 * 2 + biases


@pytest.mark.parametrize("kind", ["resize", "blur"])
def test_padding_with_zeros_changes_the_borders_alone(kind):
    reflected, zeros = (nn.Sequential(*upsample_layers(3, 2, each)) for each in (kind, f"{kind}_zeros"))
    reflected[-1].load_state_dict(zeros[-1].state_dict())
    features = torch.randn(1, 3, 5, 6)
    off = (reflected(features) - zeros(features)).abs().amax((0, 1)) > 1e-6
    assert not off[1:-1, 1:-1].any()
    assert off[[0, -1]].all()
    assert off[:, [0, -1]].all()


def drawn(kind: str) -> torch.Tensor:
    """What the layer makes of a flat image, without its borders."""
    torch.manual_seed(0)
    larger = upsample(3, 2, kind, "none")
    initialize_(larger, "instance")
    return larger(torch.ones(1, 3, 8, 8))[..., 4:-4, 4:-4]


@pytest.mark.parametrize(("kind", "flat"), [("transposed", False), ("resize", True), ("shuffle", True), ("blur", True)])
def test_only_transposed_convolutions_start_with_a_checkerboard(kind, flat):
    assert (drawn(kind).std(dim=(2, 3)).max() < 1e-6) == flat


def test_shuffled_pixels_start_as_neighbors_alike_and_can_part():
    larger = nn.Sequential(*upsample_layers(3, 2, "shuffle"))
    initialize_(larger, "instance")
    features = torch.randn(1, 3, 5, 5)
    start = larger(features)
    assert torch.equal(start, interpolate(start[..., ::2, ::2], scale_factor=2))
    (start * torch.randn_like(start)).sum().backward()
    gradients = larger[0].weight.grad
    assert not torch.allclose(gradients[0], gradients[1])


def test_blur_is_resize_after_a_filter_and_resize_is_not():
    torch.manual_seed(0)
    features = torch.randn(1, 3, 6, 6)
    blurred = upsample_layers(3, 3, "blur")[0](features)
    row = torch.tensor([1.0, 2.0, 1.0])
    kernel = (row[:, None] * row / 16).expand(3, 1, 3, 3)
    by_hand = conv2d(interpolate(features, scale_factor=2), kernel, groups=3)
    assert torch.allclose(blurred[..., 1:-1, 1:-1], by_hand, atol=1e-6)
