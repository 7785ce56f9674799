"""Tiles give the picture that the whole gives, whatever the network and the size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator
from cyclegan.translate.tiles import TiledTranslator, receptive_radius

KINDS = [
    {},
    {"norm": "none"},
    {"stem": "shuffle", "downsamplings": 1},
    {"stem": "shuffle", "downsamplings": 2, "norm": "none"},
    {"residual_output": True},
    {"upsampling": "resize"},
    {"upsampling": "blur_zeros"},
    {"upsampling": "shuffle", "norm": "layer"},
    {"upsampling": "blur", "downsampling": "blur"},
    {"norm": "group"},
    {"norm": "batch"},
    {"unet": True},
    {"unet": True, "norm": "group", "upsampling": "blur", "downsampling": "blur"},
]


def network(blocks: int = 1, unet: bool = False, **kind) -> ResnetGenerator | UnetGenerator:
    torch.manual_seed(0)
    if unet:
        built = UnetGenerator(base_channels=4, downsamplings=3, **kind).eval()
    else:
        built = ResnetGenerator(base_channels=4, blocks=blocks, **kind).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)  # so that the result depends on all that is seen
    return built


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=6, deadline=None)
@given(height=st.integers(2, 150), width=st.integers(2, 150), side=st.sampled_from([8, 20, 64]))
def test_a_picture_in_tiles_is_the_whole_picture(kind, height, width, side):
    whole = NetworkTranslator(network(**kind), network(**kind).stride)
    expected = whole.translate(picture(height, width))
    found = TiledTranslator(whole, side).translate(picture(height, width))
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-4  # a hundredth of a level


def test_every_picture_of_a_batch_has_its_own_statistics():
    whole = NetworkTranslator(network(), 4)
    batch = torch.cat([picture(60, 44, 1), 0.2 * picture(60, 44, 2)])
    assert torch.allclose(TiledTranslator(whole, 16).translate(batch), whole.translate(batch), atol=1e-4)


def test_frozen_networks_are_tiled_as_well():
    whole = NetworkTranslator(inference_copy(network(), torch.float32), 4)
    assert torch.allclose(
        TiledTranslator(whole, 16).translate(picture(70, 50)), whole.translate(picture(70, 50)), atol=1e-4
    )


def test_norms_compute_in_float32_whatever_the_precision_of_the_network():
    features = (picture(96, 80) + 3).to(torch.bfloat16)  # means that bfloat16 knows to a hundredth
    whole = NetworkTranslator(nn.Sequential(nn.GroupNorm(3, 3)).to(torch.bfloat16), 4)
    off = TiledTranslator(whole, 32).translate(features) != whole.translate(features)
    assert off.float().mean() < 0.01  # where the last digit is nearly a tie


def test_tiles_in_bfloat16_are_as_far_from_float32_as_the_whole_picture():
    built, image = network(blocks=3), picture(120, 100)
    expected, half = (
        NetworkTranslator(built, 4).translate(image),
        NetworkTranslator(inference_copy(built, torch.bfloat16), 4),
    )
    whole, tiled = half.translate(image), TiledTranslator(half, 40).translate(image)
    assert (tiled - whole).abs().mean() < 0.9 * (whole - expected).abs().mean()
    assert (tiled - expected).abs().mean() < 1.05 * (whole - expected).abs().mean()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_pixel_sees_farther_than_the_reach(kind):
    """By the gradient of a pixel in the middle, without norms, which see everything."""
    built = network(**kind | {"norm": "none"}).double()
    image = picture(128, 128).double().requires_grad_()
    built(image)[..., 64, 64].sum().backward()
    rows, columns = image.grad.abs().sum(dim=(0, 1)).nonzero().T
    seen = max((rows - 64).abs().max(), (columns - 64).abs().max())
    assert 0.5 * receptive_radius(built) < seen <= receptive_radius(built)


def test_the_generator_of_the_paper_sees_about_ninety_pixels_far():
    assert 80 < receptive_radius(ResnetGenerator()) < 110


def test_tiles_that_are_too_small_are_refused():
    with pytest.raises(UserError, match="tiles of 3 pixels: give 4 or more"):
        TiledTranslator(NetworkTranslator(network(), 4), 3)
