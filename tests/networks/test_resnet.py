"""ResnetGenerator: c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3, and the options around it."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cyclegan.networks.layers import ResnetBlock
from cyclegan.networks.resnet import ResnetGenerator

OPTIONS = {"stem": ["conv7", "shuffle"], "upsampling": ["transposed", "resize"], "downsamplings": [1, 2, 3]}
OTHERS = {"downsampling": ["blur"], "upsampling": ["shuffle", "blur"], "downsamplings": [1, 3]}
SHAPES = [
    dict(zip(options, values, strict=True))
    for options in (OPTIONS, OTHERS)
    for values in itertools.product(*options.values())
]
NORMS = ["instance", "batch", "layer", "group", "none"]


def small(seed: int = 0, **options: object) -> ResnetGenerator:
    torch.manual_seed(seed)
    return ResnetGenerator(**{"base_channels": 4, "blocks": 1, **options})


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def layer_list(network: nn.Module) -> list[str]:
    """The leaves in the words of the paper's table: kernel/stride/zero padding."""
    names = {nn.ReLU: "relu", nn.LeakyReLU: "leaky"}

    def name(layer: nn.Module) -> str:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.padding_mode == "zeros"
            kind = "conv" if isinstance(layer, nn.Conv2d) else f"transposed+{layer.output_padding[0]}"
            sizes = layer.kernel_size[0], layer.stride[0], layer.padding[0]
            return f"{kind} {'/'.join(map(str, sizes))} {layer.in_channels}-{layer.out_channels}"
        if isinstance(layer, nn.InstanceNorm2d):
            assert (layer.affine, layer.track_running_stats, layer.eps) == (False, False, 1e-5)
            return "norm"
        return f"reflect {layer.padding[0]}" if isinstance(layer, nn.ReflectionPad2d) else names[type(layer)]

    return [name(layer) for layer in network.modules() if not list(layer.children())]


@pytest.mark.parametrize(("blocks", "parameters"), [(6, 7_837_699), (9, 11_378_179)])
def test_has_the_published_number_of_parameters(blocks, parameters):
    generator = ResnetGenerator(blocks=blocks)
    assert sum(p.numel() for p in generator.parameters()) == parameters


def test_consists_of_the_layers_of_the_authors_code_but_pads_before_relu_and_has_no_norm_at_the_head():
    generator = ResnetGenerator()
    block = ["reflect 1", "conv 3/1/0 256-256", "norm", "reflect 1", "relu", "conv 3/1/0 256-256", "norm"]
    assert layer_list(generator) == [
        *("reflect 3", "conv 7/1/0 3-64", "norm", "relu"),
        *("conv 3/2/1 64-128", "norm", "relu"),
        *("conv 3/2/1 128-256", "norm", "relu"),
        *9 * block,
        *("transposed+1 3/2/1 256-128", "norm", "relu"),
        *("transposed+1 3/2/1 128-64", "norm"),
        *("reflect 3", "relu", "conv 7/1/0 64-3"),
    ]


def test_ends_in_tanh_and_so_stays_in_range():
    generator = small()
    nn.init.normal_(convolutions(generator)[-1].weight, std=10.0)
    image = noise(1, 3, 16, 16)
    assert torch.equal(generator(image), torch.tanh(generator.layers(image)))
    assert generator.layers(image).abs().max() > 10
    assert generator(image).abs().max() <= 1


def test_there_is_no_relu_after_the_residual_sum():
    block = ResnetBlock(4)
    for convolution in convolutions(block):
        nn.init.zeros_(convolution.weight)
    features = torch.randn(2, 4, 6, 6)
    assert torch.allclose(block(features), features, atol=1e-3)


@pytest.mark.parametrize("options", SHAPES, ids=lambda o: "-".join(map(str, o.values())))
@settings(deadline=None, max_examples=3)
@given(count=st.integers(1, 2), rows=st.integers(2, 5), columns=st.integers(2, 5))
def test_multiples_of_the_stride_keep_their_size_and_the_range(options, count, rows, columns):
    generator = small(base_channels=2, **options)
    assert generator.stride == 2 ** options["downsamplings"]
    image = noise(count, 3, rows * generator.stride, columns * generator.stride)
    translated = generator(image)
    assert translated.shape == image.shape
    assert translated.abs().max() <= 1


@pytest.mark.parametrize(
    "option",
    [
        {"base_channels": 5},
        {"blocks": 2},
        {"downsamplings": 1},
        {"downsampling": "blur"},
        *({"upsampling": kind} for kind in ("resize", "shuffle", "blur")),
        *({"norm": kind} for kind in NORMS[1:] if kind != "group"),
        *({"init": law} for law in ("xavier", "kaiming", "orthogonal")),
        {"stem": "shuffle"},
        {"residual_output": True},
    ],
    ids=str,
)
def test_every_option_changes_the_output(option):
    image = noise(1, 3, 16, 16)
    assert (small(**option)(image) - small()(image)).abs().max() > 1e-3


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("stem", ["conv7", "shuffle"])
def test_a_start_at_identity_copies_all_but_the_extremes(stem, norm):
    image = noise(2, 3, 16, 24)
    image[0, 0, 0, :2] = torch.tensor([-1.0, 1.0])
    copied = small(base_channels=16, stem=stem, norm=norm, residual_output=True)(image)
    assert torch.allclose(copied, 0.98 * image, atol=1e-5)


def test_a_start_at_identity_leaves_every_layer_able_to_learn():
    generator, image = small(residual_output=True), noise(2, 3, 16, 16)
    before = [convolution.weight.detach().clone() for convolution in convolutions(generator)]
    adam = torch.optim.Adam(generator.parameters(), lr=1e-3)
    for _ in range(3):
        adam.zero_grad()
        (generator(image) - noise(2, 3, 16, 16, seed=1)).square().mean().backward()
        adam.step()
    moved = [(c.weight - b).abs().max() for c, b in zip(convolutions(generator), before, strict=True)]
    assert min(moved) > 1e-4


def test_weights_start_from_a_normal_distribution_of_002_and_biases_from_zero():
    for convolution in convolutions(small(base_channels=16, blocks=2)):
        assert convolution.weight.mean().abs() < 0.003
        assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not convolution.bias.any()


def test_without_norms_the_features_neither_fade_nor_explode():
    generator = small(base_channels=16, blocks=9, norm="none", stem="shuffle", downsamplings=1)
    assert 0.3 < generator.layers[:-3](noise(2, 3, 32, 32)).std() < 1.5
    *inner, last = convolutions(generator)
    assert last.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not any(convolution.bias.any() for convolution in (*inner, last))


@pytest.mark.parametrize(("stem", "widest"), [("conv7", 32), ("shuffle", 16)])
def test_shuffled_ends_spare_the_convolutions_at_full_size(stem, widest):
    generator, sizes = small(stem=stem), []
    for convolution in convolutions(generator):
        convolution.register_forward_hook(lambda layer, inputs, output: sizes.append(output.shape[-1]))
    generator(noise(1, 3, 32, 32))
    assert max(sizes) == widest


def test_an_image_is_translated_alike_alone_and_in_a_batch():
    generator, images = small(), noise(3, 3, 16, 16)
    alone = torch.cat([generator(image) for image in images.split(1)])
    assert torch.allclose(generator(images), alone, atol=1e-6)


@pytest.mark.parametrize("norm", [norm for norm in NORMS if norm != "batch"])
def test_every_norm_but_batch_norm_treats_an_image_by_itself(norm):
    generator, images = small(norm=norm), noise(3, 3, 16, 16)
    alone = torch.cat([generator(image) for image in images.split(1)])
    assert torch.allclose(generator(images), alone, atol=1e-6)


def test_groups_of_a_group_norm_are_not_its_channels_where_there_are_enough():
    wide = {"base_channels": 64, "downsamplings": 1}
    image = noise(1, 3, 16, 16)
    assert (small(norm="group", **wide)(image) - small(**wide)(image)).abs().max() > 1e-3
    assert {norm.num_groups for norm in small(norm="group").modules() if isinstance(norm, nn.GroupNorm)} == {4, 8, 16}


@pytest.mark.parametrize(("norm", "parameters"), [("batch", 11_383_427), ("layer", 11_388_675), ("group", 11_388_675)])
def test_affine_norms_add_two_numbers_a_channel_and_batch_norms_replace_the_bias(norm, parameters):
    features = 64 + 128 + 256 + 18 * 256 + 128 + 64
    assert parameters == 11_378_179 + (1 if norm == "batch" else 2) * features
    with torch.device("meta"):
        assert sum(p.numel() for p in ResnetGenerator(norm=norm).parameters()) == parameters


def test_a_batch_norm_remembers_what_it_has_seen():
    generator, images = small(norm="batch"), noise(4, 3, 16, 16)
    before = generator.eval()(images)
    generator.train()(0.5 * images)
    assert not torch.equal(generator.eval()(images), before)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("upsampling", ["transposed", "resize", "shuffle", "blur"])
@pytest.mark.parametrize("downsampling", ["strided", "blur"])
def test_the_smallest_image_teaches_every_layer(norm, upsampling, downsampling):
    generator = small(norm=norm, upsampling=upsampling, downsampling=downsampling)
    assert generator.smallest == 8
    generator(noise(1, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
    assert all(convolution.weight.grad.any() for convolution in convolutions(generator))


def test_an_image_below_the_smallest_is_refused():
    with pytest.raises((RuntimeError, ValueError)):
        small()(noise(1, 3, 8, 4))


@pytest.mark.parametrize("stem", ["conv7", "shuffle"])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 3), (4, 4), (5, 2)])
def test_it_takes_and_gives_any_numbers_of_channels(stem, inputs, outputs):
    network = ResnetGenerator(in_channels=inputs, out_channels=outputs, base_channels=2, blocks=1, stem=stem)
    assert network(torch.zeros(2, inputs, 16, 12)).shape == (2, outputs, 16, 12)


def test_no_network_of_other_channels_starts_at_the_identity():
    with pytest.raises(ValueError, match="needs as many channels of output as of input, not 3 and 1"):
        ResnetGenerator(in_channels=1, residual_output=True)
