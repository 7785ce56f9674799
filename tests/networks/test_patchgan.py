"""PatchDiscriminator: the 70×70 PatchGAN of pix2pix and CycleGAN."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cyclegan.methods.settings import DiscriminatorConfig
from cyclegan.networks.patchgan import PatchDiscriminator


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_has_the_published_number_of_parameters():
    discriminator = PatchDiscriminator()
    assert sum(p.numel() for p in discriminator.parameters()) == 2_764_737


def test_consists_of_c64_c128_c256_c512_with_stride_1_at_c512_and_no_norm_at_either_end():
    leaves = [layer for layer in PatchDiscriminator().modules() if not list(layer.children())]
    assert [type(layer).__name__ for layer in leaves] == [
        *("Conv2d", "LeakyReLU"),
        *3 * ["Conv2d", "InstanceNorm2d", "LeakyReLU"],
        "Conv2d",
    ]
    found = [layer for layer in leaves if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in found] == [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    assert [c.stride[0] for c in found] == [2, 2, 2, 1, 1]
    assert {(c.kernel_size, c.padding, c.padding_mode) for c in found} == {((4, 4), (1, 1), "zeros")}
    assert {layer.negative_slope for layer in leaves if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert not any(layer.affine for layer in leaves if isinstance(layer, nn.InstanceNorm2d))


def test_the_width_stays_at_eight_times_the_first_beyond_three_layers():
    widths = [c.out_channels for c in convolutions(PatchDiscriminator(base_channels=2, layers=5))]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


@pytest.mark.parametrize(("side", "grid"), [(128, 14), (256, 30), (512, 62)])
def test_scores_the_published_grids(side, grid):
    assert PatchDiscriminator(base_channels=1)(torch.zeros(1, 3, side, side)).shape == (1, 1, grid, grid)


@settings(deadline=None, max_examples=25)
@given(layers=st.integers(1, 4), more=st.tuples(st.integers(0, 40), st.integers(0, 40)), count=st.integers(1, 3))
def test_the_grid_follows_the_documented_formula_for_every_size(layers, more, count):
    discriminator = PatchDiscriminator(base_channels=1, layers=layers)
    height, width = (DiscriminatorConfig(layers=layers).smallest + extra for extra in more)
    grid = (height // 2**layers - 2, width // 2**layers - 2)
    assert discriminator(torch.zeros(count, 3, height, width)).shape == (count, 1, *grid)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_smallest_image_gets_one_score_and_a_smaller_one_none(layers):
    discriminator = PatchDiscriminator(base_channels=1, layers=layers)
    side = DiscriminatorConfig(layers=layers).smallest
    assert discriminator(torch.zeros(1, 3, side, side)).shape == (1, 1, 1, 1)
    with pytest.raises((RuntimeError, ValueError)):
        discriminator(torch.zeros(1, 3, side, side - 1))


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_each_score_sees_exactly_its_field(layers, field):
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(base_channels=2, layers=layers, norm="none")  # statistics are global
    image = torch.randn(1, 3, 256, 256, requires_grad=True)
    scores = discriminator(image)
    middle = scores.shape[-1] // 2
    scores[0, 0, middle, middle].backward()
    for other_axes in ((0, 1, 3), (0, 1, 2)):
        seen = image.grad.abs().sum(dim=other_axes).nonzero()
        assert seen.max() - seen.min() + 1 == field


def test_scores_are_not_bounded():
    discriminator = PatchDiscriminator(base_channels=2)
    for convolution in convolutions(discriminator):
        nn.init.normal_(convolution.weight)
    scores = discriminator(torch.randn(2, 3, 64, 64))
    assert scores.max() > 2
    assert scores.min() < -2


def test_weights_start_from_a_normal_distribution_of_002_and_biases_from_zero():
    torch.manual_seed(0)
    for convolution in convolutions(PatchDiscriminator(base_channels=32)):
        assert convolution.weight.mean().abs() < 0.003
        assert convolution.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not convolution.bias.any()


@pytest.mark.parametrize("norm", ["spectral", "none"])
def test_only_the_instance_norm_normalizes_features(norm):
    assert not any(isinstance(m, nn.InstanceNorm2d) for m in PatchDiscriminator(base_channels=2, norm=norm).modules())


def test_the_spectral_norm_bounds_every_convolution_whatever_its_weights():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(base_channels=4, norm="spectral")
    for convolution in convolutions(discriminator):
        convolution.parametrizations.weight.original.data.mul_(1000)
    for _ in range(20):  # every training step refines the estimate
        discriminator(torch.randn(1, 3, 24, 24))
    largest = [torch.linalg.matrix_norm(c.weight.flatten(1), ord=2).item() for c in convolutions(discriminator)]
    assert largest == pytest.approx([1.0] * 5, rel=0.05)


def test_the_spectral_norm_keeps_the_scores_of_near_images_near():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(base_channels=4, norm="spectral").eval()
    image, step = torch.randn(1, 3, 32, 32), 0.01 * torch.randn(1, 3, 32, 32)
    overlap = 4**5  # a 4×4 convolution reads each of its inputs up to 16 times: its norm is up to 4
    assert (discriminator(image + step) - discriminator(image)).norm() <= overlap * step.norm()


@pytest.mark.parametrize("norm", ["instance", "spectral", "none"])
def test_scores_are_float32_under_autocast(norm):
    discriminator = PatchDiscriminator(base_channels=2, norm=norm)
    with torch.autocast("cpu", torch.bfloat16):
        assert discriminator(torch.randn(1, 3, 24, 24)).dtype == torch.float32
