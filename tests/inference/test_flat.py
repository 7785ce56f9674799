"""Pictures of one color are translated the same whole, in tiles, in batches, in fewer digits and exported."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cyclegan.export.graph_files import export
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator
from cyclegan.translate.tiles import TiledTranslator

exporting = sys.modules[export.__module__]  # the function hides its module
LEVEL = 2 / 255
KINDS = [
    {},
    {"stem": "shuffle"},
    {"residual_output": True, "upsampling": "resize"},
    {"upsampling": "shuffle", "norm": "group"},
    {"upsampling": "blur", "downsampling": "blur"},
    {"unet": True},
]


def translator(std: float = 0.2, unet: bool = False, **kind: str) -> NetworkTranslator:
    torch.manual_seed(0)
    build = UnetGenerator(base_channels=4, downsamplings=3) if unet else None
    network = build or ResnetGenerator(base_channels=8, blocks=3, **kind)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=std)
    return NetworkTranslator(network.eval(), network.stride, network.smallest)


COLORS = st.tuples(*[st.integers(0, 255)] * 3)


def flat(color: tuple[int, int, int], height: int, width: int) -> torch.Tensor:
    return (torch.tensor(color) / 127.5 - 1)[None, :, None, None].expand(1, 3, height, width).contiguous()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=4, deadline=None)
@given(color=COLORS, height=st.integers(1, 60), width=st.integers(1, 60), std=st.sampled_from([0.02, 0.2]))
def test_whole_in_tiles_in_batches_and_frozen_they_are_the_same(kind, color, height, width, std):
    whole, image = translator(std, **kind), flat(color, height, width)
    expected = whole.translate(image)
    batch = torch.cat([torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)), image])
    others = {
        "tiles": TiledTranslator(whole, 24).translate(image),
        "a batch": whole.translate(batch)[1:],
        "frozen": NetworkTranslator(inference_copy(whole.network, torch.float32), whole.stride).translate(image),
    }
    for name, found in others.items():
        assert (found - expected).abs().max() < LEVEL / 2, name


@pytest.mark.parametrize("place", [(0, 0), (33, 50), (59, 79)])
def test_a_pixel_that_differs_by_a_level_is_seen_and_the_same_in_tiles(place):
    whole, image = translator(0.02), flat((10, 10, 10), 60, 80)
    uniform = whole.translate(image)
    image[..., place[0], place[1]] += LEVEL
    expected = whole.translate(image)
    assert (expected - uniform).abs().max() > LEVEL
    assert (TiledTranslator(whole, 24).translate(image) - expected).abs().max() < LEVEL


def test_half_a_picture_of_one_color_is_the_same_in_tiles():
    whole, image = translator(), flat((0, 0, 0), 60, 80)
    image[..., 40:] = 1
    image[..., 7, 9] += LEVEL
    expected = whole.translate(image)
    assert (TiledTranslator(whole, 24).translate(image) - expected).abs().max() < LEVEL / 10


def test_statistics_of_black_frames_leave_later_frames_what_they_show():
    whole, black = translator(), flat((0, 0, 0), 40, 40)
    steady = TiledTranslator(whole, 24).fixed([black, black])
    assert (steady(black) - whole.translate(black)).abs().max() < LEVEL / 10
    shown = flat((0, 0, 0), 40, 40)
    shown[..., 20:] = 0.5
    assert (steady(shown) - steady(black)).abs().max() > 10 * LEVEL


def test_bfloat16_gives_one_color_as_well():
    drawn = NetworkTranslator(inference_copy(translator().network, torch.bfloat16), 4).translate(
        flat((0, 0, 0), 50, 70)
    )
    assert (drawn - drawn[..., :1, :1]).abs().max() < LEVEL / 2


@pytest.mark.parametrize("suffix", exporting.GRAPHS)
def test_exported_they_are_the_same(tmp_path, suffix):
    whole, (write, read) = translator(), exporting.GRAPHS[suffix]
    write(exporting._traced(whole, torch.float32), tmp_path / f"graph{suffix}", "{}")
    run = read(tmp_path / f"graph{suffix}")
    for color, height, width in (((0, 0, 0), 60, 41), ((255, 255, 255), 1, 1), ((200, 7, 99), 33, 64)):
        pixels = exporting.to_pixels(flat(color, height, width), torch.float32)
        expected = exporting.to_pixels(whole.translate(flat(color, height, width)), torch.float32)
        assert (run(pixels) - expected).abs().max() < 0.1


def test_export_compares_pictures_of_one_color():
    whole = translator()

    def wrong_when_flat(pixels: torch.Tensor) -> torch.Tensor:
        drawn = exporting.to_pixels(whole.translate(exporting.from_pixels(pixels)), torch.float32)
        return drawn + (pixels == pixels[..., :1, :1]).all()

    assert exporting.difference(whole, wrong_when_flat, torch.float32) == pytest.approx(1 / 127.5)
