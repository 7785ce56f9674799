"""PatchDiscriminator: the 70×70 PatchGAN of pix2pix and CycleGAN."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cyclegan.losses.adversarial import lsgan_discriminator, lsgan_generator
from cyclegan.losses.regularization import r1_penalty
from cyclegan.networks.network_config import DiscriminatorConfig
from cyclegan.networks.patchgan import MultiscaleDiscriminator, PatchDiscriminator


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_has_the_published_number_of_parameters():
    discriminator = PatchDiscriminator()
    assert sum(p.numel() for p in discriminator.parameters()) == 2_764_737


def test_consists_of_c64_c128_c256_c512_with_stride_1_at_c512_and_no_norm_at_either_end():
    leaves = [layer for layer in PatchDiscriminator().modules() if not list(layer.children())]
    assert [type(layer).__name__ for layer in leaves] == [
        *("Conv2d", "LeakyReLU"),
        *3 * ["Conv2d", "InstanceNorm", "LeakyReLU"],
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


@pytest.mark.parametrize(("norm", "parameters"), [("batch", 2_765_633), ("layer", 2_766_529), ("group", 2_766_529)])
def test_affine_norms_add_two_numbers_a_channel_and_batch_norms_replace_the_bias(norm, parameters):
    assert parameters == 2_764_737 + (1 if norm == "batch" else 2) * (128 + 256 + 512)
    assert sum(p.numel() for p in PatchDiscriminator(norm=norm).parameters()) == parameters


@pytest.mark.parametrize(
    "option",
    [
        *({"norm": norm} for norm in ("batch", "layer", "spectral", "none")),
        *({"init": law} for law in ("xavier", "kaiming", "orthogonal")),
        *({"layers": 0}, {"layers": 2}, {"base_channels": 5}),
    ],
    ids=str,
)
def test_every_option_changes_the_scores(option):
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    scores = []
    for options in ({}, option):
        torch.manual_seed(0)
        scores.append(PatchDiscriminator(**{"base_channels": 4, **options})(images))
    assert scores[0].shape != scores[1].shape or (scores[0] - scores[1]).abs().max() > 1e-3


# Pixels


def test_the_pixelgan_has_the_published_layers():
    found = convolutions(PatchDiscriminator(layers=0))
    assert [(c.in_channels, c.out_channels) for c in found] == [(3, 64), (64, 128), (128, 1)]
    assert {(c.kernel_size, c.stride, c.padding) for c in found} == {((1, 1), (1, 1), (0, 0))}
    assert sum(c.weight.numel() + c.bias.numel() for c in found) == 3 * 64 + 64 + 64 * 128 + 128 + 128 + 1


def test_the_pixelgan_scores_every_pixel_by_itself():
    torch.manual_seed(0)
    image = torch.randn(1, 3, 5, 7, requires_grad=True)
    scores = PatchDiscriminator(base_channels=2, layers=0, norm="none")(image)
    assert scores.shape == (1, 1, 5, 7)
    scores[0, 0, 2, 3].backward()
    assert image.grad.abs().sum(dim=(0, 1)).nonzero().tolist() == [[2, 3]]


@pytest.mark.parametrize("norm", ["instance", "batch", "layer", "group", "spectral", "none"])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_smallest_image_teaches_every_layer(layers, norm):
    discriminator = PatchDiscriminator(base_channels=4, layers=layers, norm=norm)
    side = DiscriminatorConfig(layers=layers).smallest
    discriminator(torch.randn(2, 3, side, side)).sum().backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    assert all(
        c.parametrizations.weight.original.grad.any() if norm == "spectral" else c.weight.grad.any()
        for c in convolutions(discriminator)
    )


# Scales


def multiscale(scales: int = 2, **options) -> MultiscaleDiscriminator:
    torch.manual_seed(0)
    return MultiscaleDiscriminator(scales=scales, **{"base_channels": 2, "layers": 2, **options})


@pytest.mark.parametrize(("height", "width", "grid"), [(64, 64, (14, 14)), (61, 48, (13, 10))])
def test_every_place_of_the_finest_grid_has_a_score_of_each_scale(height, width, grid):
    assert multiscale(3)(torch.randn(2, 3, height, width)).shape == (2, 3, *grid)


def test_each_scale_is_a_patch_discriminator_of_its_own_on_a_copy_of_half_the_size():
    discriminator, images = multiscale(norm="none", layers=0), torch.randn(1, 3, 16, 16)
    assert sum(p.numel() for p in discriminator.parameters()) == 2 * sum(
        p.numel() for p in PatchDiscriminator(base_channels=2, layers=0).parameters()
    )
    fine, coarse = discriminator(images).unbind(dim=1)
    half = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)(images)
    assert torch.equal(fine[:, None], discriminator.scales[0](images))
    assert torch.equal(coarse[:, None, ::2, ::2], discriminator.scales[1](half))
    assert torch.equal(coarse[:, ::2, ::2], coarse[:, 1::2, 1::2])  # each stands in four places


def test_the_fields_are_twice_as_wide_each_time():
    widths = []
    for scale in range(3):
        image = torch.randn(1, 3, 160, 160, requires_grad=True)
        multiscale(3, norm="none", layers=1)(image)[0, scale, 39, 39].backward()
        rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero()
        widths.append(int(rows.max() - rows.min() + 1))
    assert widths == [16, 2 * 16 + 1, 2 * (2 * 16 + 1) + 1]  # pooling takes three pixels where two would do


def test_losses_are_the_means_over_the_scales_of_the_losses_of_each():
    discriminator, real, fake = multiscale(), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    scores = discriminator(real), discriminator(fake)
    for loss, judged in (
        (lsgan_generator, scores[:1]),
        (lsgan_discriminator, scores),
        (lambda s: (1 - s).relu().mean(), scores[:1]),
        (lambda s: nn.functional.softplus(-s).mean(), scores[:1]),
    ):
        each = [loss(*(s[:, [scale]] for s in judged)) for scale in range(2)]
        assert torch.allclose(loss(*judged), sum(each) / 2)


def test_r1_is_that_of_the_mean_over_the_scales():
    discriminator, image = multiscale(norm="none"), torch.randn(2, 3, 32, 32, requires_grad=True)
    mean = (discriminator(image)[:, 0].mean((1, 2)) + discriminator(image)[:, 1].mean((1, 2))) / 2
    (slope,) = torch.autograd.grad(mean.sum(), image)
    expected = 0.5 * slope.square().sum((1, 2, 3)).mean()
    assert torch.allclose(r1_penalty(discriminator, image), expected)


@pytest.mark.parametrize(("layers", "scales"), [(0, 3), (1, 2), (3, 2)])
def test_the_smallest_image_has_a_patch_at_every_scale(layers, scales):
    side = DiscriminatorConfig(layers=layers, scales=scales).smallest
    discriminator = multiscale(scales, layers=layers)
    discriminator(torch.randn(1, 3, side, side)).sum().backward()
    assert all(c.weight.grad is not None for c in convolutions(discriminator))


@pytest.mark.parametrize("channels", [1, 4, 7])
@pytest.mark.parametrize("layers", [0, 2])
def test_it_scores_images_of_any_number_of_channels(channels, layers):
    network = PatchDiscriminator(in_channels=channels, base_channels=2, layers=layers)
    assert network(torch.zeros(1, channels, 16, 16)).shape[:2] == (1, 1)
