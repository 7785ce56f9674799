"""UnetGenerator: pix2pix's encoder and decoder, joined at every size, and the options around them."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.layers import InstanceNorm
from cyclegan.networks.unet import UnetGenerator

KINDS = [
    {"downsampling": down, "upsampling": up, "norm": norm}
    for down in ("strided", "blur")
    for up in ("transposed", "resize", "shuffle", "blur")
    for norm in ("instance", "batch", "layer", "group", "none")
]


def small(seed: int = 0, **options: object) -> UnetGenerator:
    torch.manual_seed(seed)
    return UnetGenerator(**{"base_channels": 4, "downsamplings": 4, **options})


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def by_hand(encoder: list[int], norm: str) -> int:
    """Kernels of 4×4, and for each feature map a bias, or scale and shift of a norm where the authors' code has one."""
    down = list(itertools.pairwise([3, *encoder]))
    up = [(encoder[-1], encoder[-2]), *((2 * wide, narrow) for wide, narrow in itertools.pairwise(encoder[-2::-1]))]
    kernels = 16 * sum(wide * narrow for wide, narrow in [*down, *up, (2 * encoder[0], 3)])
    if norm == "instance":
        return kernels + sum(encoder) + sum(narrow for _, narrow in up) + 3
    return kernels + 2 * sum(encoder[1:-1]) + 2 * sum(narrow for _, narrow in up) + 3


@pytest.mark.parametrize(
    ("downsamplings", "norm", "published"),
    [(8, "instance", 54_409_603), (8, "batch", 54_413_955), (7, "instance", 41_825_667), (7, "batch", 41_828_995)],
)
def test_has_the_published_number_of_parameters(downsamplings, norm, published):
    encoder = [64, 128, 256, *[512] * (downsamplings - 3)]
    with torch.device("meta"):
        assert count(UnetGenerator(downsamplings=downsamplings, norm=norm)) == by_hand(encoder, norm) == published


def test_consists_of_the_layers_of_the_paper():
    def name(layer: nn.Module) -> str:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == ((4, 4), (2, 2), (1, 1))
            return f"{layer.in_channels}-{layer.out_channels}"
        return {nn.LeakyReLU: "leaky", nn.ReLU: "relu", InstanceNorm: "norm", nn.Dropout: "dropout"}[type(layer)]

    with torch.device("meta"):
        network = UnetGenerator(dropout=0.5)
    down, up = (
        [[name(layer) for layer in layers if not isinstance(layer, nn.Identity)] for layers in half]
        for half in (network.down, network.up)
    )
    assert down == [
        ["3-64"],
        *(["leaky", f"{ends}", "norm"] for ends in ("64-128", "128-256", "256-512", *3 * ["512-512"])),
        ["leaky", "512-512"],
    ]
    assert up == [
        ["relu", "512-512", "norm", "dropout"],
        *2 * [["relu", "1024-512", "norm", "dropout"]],
        *(["relu", ends, "norm"] for ends in ("1024-512", "1024-256", "512-128", "256-64")),
        ["relu", "128-3"],
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@settings(deadline=None, max_examples=1)
@given(images=st.integers(1, 2), rows=st.integers(1, 3), columns=st.integers(1, 3), downsamplings=st.integers(2, 4))
def test_multiples_of_the_stride_keep_their_size_and_the_range(kind, images, rows, columns, downsamplings):
    network = small(base_channels=2, downsamplings=downsamplings, **kind)
    assert network.stride == network.smallest == 2**downsamplings
    image = noise(images, 3, rows * network.stride, columns * network.stride)
    translated = network(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_the_smallest_image_teaches_every_parameter(kind):
    network = small(dropout=0.5, **kind)
    network(noise(1, 3, 16, 16)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    weights = {name: p for name, p in network.named_parameters() if name.endswith("weight")}
    assert all(weight.grad.abs().sum() > 0 for weight in weights.values())


def test_an_image_of_half_a_stride_is_refused():
    with pytest.raises(RuntimeError):
        small()(noise(1, 3, 16, 24))


def test_channels_are_counted_as_asked():
    assert small(in_channels=1, out_channels=5)(noise(2, 1, 16, 32)).shape == (2, 5, 16, 32)


@pytest.mark.parametrize("level", range(4))
def test_what_every_size_of_the_encoder_sees_reaches_the_output(level):
    network, image = small(norm="none").eval(), noise(1, 3, 32, 32)
    untouched = network(image)
    network.down[level].register_forward_hook(lambda layer, inputs, features: features + 1)
    assert (network(image) - untouched).abs().max() > 1e-4


def test_skips_carry_the_features_as_the_decoder_will_see_them():
    """The leaky ReLU of the next layer works in place; behind the decoder's ReLU nobody can tell."""
    network, image = small(norm="none"), noise(1, 3, 32, 32)
    expected = network(image)
    for layers in network.down[1:]:
        layers[0].inplace = False
    assert torch.equal(network(image), expected)


@pytest.mark.parametrize(
    "option",
    [
        *({"upsampling": kind} for kind in ("resize", "shuffle", "blur")),
        *({"norm": kind} for kind in ("batch", "layer", "group", "none")),
        *({"init": law} for law in ("xavier", "kaiming", "orthogonal")),
        *({"downsampling": "blur"}, {"dropout": 0.5}, {"base_channels": 5}, {"downsamplings": 3}),
    ],
    ids=str,
)
def test_every_option_changes_the_output(option):
    torch.manual_seed(1)
    wide = {"base_channels": 64, "downsamplings": 4}  # narrower, each group of a group norm is a channel
    changed, plain = small(**{**wide, **option}), small(**wide)
    assert (changed(noise(2, 3, 32, 32)) - plain(noise(2, 3, 32, 32))).abs().max() > 1e-3


def test_dropout_is_in_three_layers_and_rests_in_evaluation():
    network, image = small(downsamplings=5, dropout=0.5), noise(1, 3, 32, 32)
    assert [i for i, up in enumerate(network.up) if isinstance(up[-1], nn.Dropout)] == [0, 1, 2]
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_pictures_of_any_size_are_translated(height, width):
    network, image = small(), noise(1, 3, height, width)
    translated = NetworkTranslator(network, network.stride, network.smallest).translate(image)
    assert translated.shape == image.shape


def test_a_picture_of_the_size_it_was_trained_on_is_not_padded():
    network, image = small(downsamplings=5), noise(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(NetworkTranslator(network, 32, network.smallest).translate(image), network(image))


def test_without_norms_the_features_neither_fade_nor_explode():
    network = small(base_channels=16, downsamplings=6, norm="none")
    found = {}
    for layers in (*network.down, *network.up[:-1]):
        layers.register_forward_hook(lambda layer, inputs, features, of=layers: found.update({of: features.std()}))
    network(noise(2, 3, 64, 64))
    assert all(0.05 < std < 2 for std in found.values())
