"""TransformNet: the sizes of the published networks, their paddings and ranges, written out where they are new."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.build import build_transform_net
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.network_config import TransformNetConfig
from cyclegan.networks.transform_net import ResidualBlock, TransformNet
from cyclegan.translate.tiles import TiledTranslator

PADDINGS = ["start", "reflect", "replicate", "circular", "zero", "same"]
OUTPUTS = ["tanh150_mean", "tanh150", "mean", "levels", "sigmoid", "tanh"]
SMALL = {"base_channels": 2, "blocks": 2, "norm": "instance"}
LENGSTROM = {"norm": "instance", "padding": "same", "bias": False, "last_norm": True, "eps": 1e-3}
MEAN = torch.tensor([123.68, 116.779, 103.939])[:, None, None]


def net(**options: Any) -> TransformNet:
    torch.manual_seed(0)
    return TransformNet(**SMALL | options)


def images(height: int = 24, width: int = 32, seed: int = 0, count: int = 2) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 1_679_235),  # the paper's, and pytorch/examples'
        ({"padding": "reflect", "upsampling": "resize", "norm": "instance"}, 1_679_235),
        ({"base_channels": 16}, 424_899),  # the released models with instance norms
        ({"base_channels": 64}, 6_676_227),
        ({"base_channels": 16, "blocks": 3}, 276_675),
        ({"base_channels": 8, "blocks": 2}, 52_899),
        ({"padding": "replicate", "last_kernel": 3}, 1_672_323),  # texture_nets
        (LENGSTROM, 1_677_638),
    ],
)
def test_the_networks_have_the_published_numbers_of_parameters(options, parameters):
    with torch.device("meta"):
        network = build_transform_net(TransformNetConfig(**options))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(24, 32), (44, 28)])
def test_sides_that_are_multiples_of_four_are_kept(padding, upsampling, size):
    assert net(padding=padding, upsampling=upsampling)(images(*size)).shape == (2, 3, *size)


@pytest.mark.parametrize("padding", PADDINGS)
def test_the_smallest_side_of_the_settings_is_one_that_the_network_takes(padding):
    side = TransformNetConfig(blocks=5, padding=padding).smallest
    assert net(blocks=5, padding=padding)(images(side, side)).shape == (2, 3, side, side)


def test_padding_at_the_start_is_the_unpadded_network_on_a_reflected_image():
    """With 5 blocks by 40 px; without the first layer, 80 px are lost."""
    network = net(padding="start", blocks=5, output="tanh").double()
    content = images(44, 48).double()
    bare = network.layers[1:]
    reflected = 127.5 * pad(content, (40, 40, 40, 40), "reflect") + 127.5 - MEAN.double()
    assert torch.allclose(network(content), bare(reflected).tanh(), atol=1e-3)  # the means are in float32
    assert bare(torch.zeros(1, 3, 124, 128, dtype=torch.float64)).shape == (1, 3, 44, 48)


@pytest.mark.parametrize("valid", [True, False])
def test_a_block_whose_last_norm_is_zero_is_the_cropped_identity(valid):
    block = next(m for m in net(padding="start" if valid else "reflect").modules() if isinstance(m, ResidualBlock))
    nn.init.zeros_(block.body[-1].weight)
    features = torch.randn(1, 8, 9, 10)
    assert torch.equal(block(features), features[..., 2:-2, 2:-2] if valid else features)


def test_recomputed_blocks_have_the_same_gradients():
    plain, again = net(padding="start").double(), net(padding="start").double()
    for module in again.modules():
        if isinstance(module, ResidualBlock):
            module.recompute = True
    for network in (plain, again):
        network(images().double()).square().sum().backward()
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-10)


def same_matrix(kernel: Tensor, side: int) -> Tensor:
    """A convolution of stride 2 on an even side as a matrix; zeros only after the image, as TensorFlow pads."""
    count = side // 2
    matrix = torch.zeros(count, count, side, side, dtype=kernel.dtype)
    for y in range(count):
        for x in range(count):
            for i in range(3):
                for j in range(3):
                    if 2 * y + i < side and 2 * x + j < side:
                        matrix[y, x, 2 * y + i, 2 * x + j] += kernel[i, j]
    return matrix.flatten(0, 1).flatten(1)


def test_same_is_tensorflows_padding_and_the_transposed_convolution_its_transpose():
    """The matrix of the convolution, and of the transposed convolution with the same kernel, written out."""
    network = net(padding="same", norm="none", bias=False, base_channels=1, blocks=0).double()
    layers = list(network.layers)
    down = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2))
    up = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.ConvTranspose2d))
    x, kernel = torch.randn(1, 1, 8, 8, dtype=torch.float64), layers[down].weight[:1, :1]
    layers[down].weight.data = kernel.clone()
    layers[up].weight.data = kernel.clone()
    matrix = same_matrix(kernel[0, 0], 8)
    smaller = nn.Sequential(*layers[down - 1 : down + 1])(x)
    assert torch.allclose(smaller.flatten(), matrix @ x.flatten(), atol=1e-12)
    larger = nn.Sequential(*layers[up : up + 2])(smaller)
    assert torch.allclose(larger.flatten(), matrix.mT @ smaller.flatten(), atol=1e-12)


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_are_levels_of_the_published_ranges(output):
    network = net(output=output)
    nn.init.zeros_(network.layers[-1].weight)
    network.layers[-1].bias.data = torch.tensor([-0.3, 0.1, 0.4])
    z = network.layers[-1].bias.detach()[:, None, None]
    levels = {
        "tanh150_mean": 150 * z.tanh() + MEAN,
        "tanh150": 150 * z.tanh() + 127.5,
        "mean": z + MEAN,
        "levels": z,
        "sigmoid": 255 * z.sigmoid(),
        "tanh": 255 * (z.tanh() + 1) / 2,
    }[output]
    assert torch.allclose((network(images()) + 1) * 127.5, levels.expand(2, 3, 24, 32), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "convert"),
    [
        ("mean", lambda levels: levels - MEAN),
        ("levels", lambda levels: levels),
        ("unit", lambda levels: levels / 255),
    ],
)
def test_inputs_are_levels_of_the_published_ranges(kind, convert):
    network, seen = net(input=kind), []
    network.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(images())
    assert torch.allclose(seen[0], convert((images() + 1) * 127.5), atol=1e-4)


def test_results_are_clamped_in_evaluation_and_not_in_training():
    network = net(output="levels")
    nn.init.constant_(network.layers[-1].bias, 1000.0)
    assert network.train()(images()).max() > 1
    assert network.eval()(images()).max() == 1


def test_an_instance_norm_forgets_the_contrast_of_the_image_where_no_zeros_are_padded():
    """IN(a x + b) = IN(x); zeros at the border do not scale with the image."""
    changes = {}
    for padding in ("reflect", "zero"):
        network = net(padding=padding, eps=1e-12, input="levels").double()
        x = images().double()
        one, other = network(x), network(0.3 * x + 0.2)
        changes[padding] = ((one - other).abs().max() / one.std()).item()
    assert changes["reflect"] < 1e-6
    assert changes["zero"] > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_an_inference_copy_paints_the_same(norm):
    network = net(norm=norm, output="tanh").eval()
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))  # so that gains are not 1 and offsets not 0
    wanted = network(images())
    assert torch.allclose(inference_copy(network, torch.float32)(images()), wanted, atol=1e-4)
    assert (inference_copy(network, torch.bfloat16)(images()) - wanted).abs().mean() < 0.03


@pytest.mark.parametrize("padding", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_tiles_paint_what_the_whole_image_becomes(padding, upsampling):
    network = net(padding=padding, upsampling=upsampling, blocks=1, output="tanh").eval()
    whole = NetworkTranslator(network, 4)
    content = images(96, 112, count=1)
    assert torch.allclose(TiledTranslator(whole, 32).translate(content), whole.translate(content), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_channels": 0}, "base_channels: must be at least 1"),
        ({"blocks": -1}, "blocks: must be at least 0"),
        ({"last_kernel": 4}, "last_kernel: must be 3, 5, 7 or 9"),
        ({"eps": 0.0}, "eps: must be above 0"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        TransformNetConfig(**settings)
