"""Statistics that are fixed for a film: it flickers less; and the score that says how much."""

from pathlib import Path

import numpy as np
import pytest
import torch
from films import Pixels, Same, entering_object, images, moving_square
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.images.tensors import from_bytes
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.translate import fit_memory as memory
from cyclegan.translate.flicker import Flicker
from cyclegan.translate.memory_estimate import needed
from cyclegan.translate.tiles import TiledTranslator
from cyclegan.translate.video import evenly, with_fixed_norms


@given(count=st.integers(0, 300), most=st.integers(1, 9))
def test_a_sample_is_evenly_spaced(count, most):
    sample = evenly(iter(range(count)), most)
    steps = set(np.diff(sample))
    assert sample[:1] == [0][:count]
    assert len(steps) <= 1
    assert min(count, (most + 1) // 2) <= len(sample) <= most


def generator(**kind) -> NetworkTranslator:
    """Random weights of a size that makes every layer matter."""
    torch.manual_seed(0)
    network = ResnetGenerator(base_channels=4, blocks=1, **kind).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
    return NetworkTranslator(network, network.stride)


def flicker_of(translator, frames: Pixels) -> float | None:
    flicker = Flicker()
    for image in images(frames):
        flicker(image, translator.translate(image))
    return flicker.score


def getting_brighter(count: int = 12) -> Pixels:
    """By two levels a frame."""
    noise = np.random.default_rng(0).integers(60, 120, (32, 48, 3), dtype=np.uint8)
    return [noise + np.uint8(2 * i) for i in range(count)]


def test_fixed_statistics_flicker_less_when_an_object_enters():
    frames, translator = entering_object(), generator()
    fixed = with_fixed_norms(translator, evenly(images(frames)), Path("film"))
    by_frame, steady = flicker_of(translator, frames), flicker_of(fixed, frames)
    assert by_frame > 1
    assert steady < 0.5 * by_frame


def test_what_is_far_from_the_object_does_not_move_at_all():
    frames, translator = entering_object(), generator()
    fixed = with_fixed_norms(translator, evenly(images(frames)), Path("film"))
    for one, moves in ((fixed, False), (translator, True)):
        lefts = [one.translate(image)[..., :40] for image in (images(frames)[0], images(frames)[-1])]
        assert torch.allclose(*lefts, atol=1e-6) != moves


def test_a_frame_is_translated_by_its_pixels_alone():
    frames = images(moving_square())
    fixed = with_fixed_norms(generator(), evenly(frames), Path("film"))
    together = fixed.translate(torch.cat(frames))
    assert torch.allclose(together[4:5], fixed.translate(frames[4]), atol=1e-5)


def test_the_statistics_of_a_still_film_are_those_of_its_picture():
    image, translator = images(moving_square(1))[0], generator()
    fixed = with_fixed_norms(translator, [image] * 5, Path("film"))
    assert torch.allclose(fixed.translate(image), translator.translate(image), atol=1e-4)


def test_the_variance_over_frames_has_the_part_between_them():
    """Of a layer that sees two frames of one color each: the mean is that of both, the variance that of their means."""
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.InstanceNorm2d(3))
    with torch.no_grad():
        layer[0].weight.copy_(torch.eye(3)[..., None, None])
    dark, bright = torch.full((1, 3, 16, 16), -0.5), torch.full((1, 3, 16, 16), 0.7)
    fixed = with_fixed_norms(NetworkTranslator(layer, 1), [dark, bright], Path("film"))
    assert torch.allclose(fixed.translate(dark), torch.full_like(dark, -1.0), atol=1e-3)
    assert torch.allclose(fixed.translate(bright), torch.full_like(dark, 1.0), atol=1e-3)


def test_statistics_are_gathered_in_tiles_where_memory_is_full(monkeypatch):
    frames, translator = images(moving_square(3, 160, 240)), generator()
    expected = with_fixed_norms(translator, frames, Path("film")).translate(frames[0])
    in_tiles, tried = TiledTranslator.fixed, []

    def small_tiles_only(self, sample):
        tried.append(self.side)
        if self.side > 150:
            raise RuntimeError("CUDA out of memory")
        return in_tiles(self, sample)

    monkeypatch.setattr(TiledTranslator, "fixed", small_tiles_only)
    assert torch.allclose(with_fixed_norms(translator, frames, Path("film")).translate(frames[0]), expected, atol=1e-4)
    assert tried == [240, 120]


@pytest.mark.parametrize("tile", [None, 300])
def test_statistics_are_gathered_in_tiles_that_fit_into_free_memory(monkeypatch, tile):
    frames, translator = images(moving_square(2, 300, 400)), generator()
    expected = with_fixed_norms(translator, frames, Path("film")).translate(frames[0])
    in_tiles, tried = TiledTranslator.fixed, []
    monkeypatch.setattr(TiledTranslator, "fixed", lambda self, sample: tried.append(self) or in_tiles(self, sample))
    there = 2 * needed(TiledTranslator(translator, 120), frames[0])
    monkeypatch.setattr(memory, "free", lambda device: there)
    assert torch.allclose(
        with_fixed_norms(translator, frames, Path("film"), tile).translate(frames[0]), expected, atol=1e-4
    )
    assert [tiled.side for tiled in tried] == [120]


def test_networks_without_norms_have_nothing_to_be_fixed():
    translator = generator(norm="none")
    assert with_fixed_norms(translator, images(moving_square()), Path("film")) is translator


def test_a_copy_of_a_still_film_does_not_flicker():
    assert flicker_of(Same(), moving_square(1) * 5) == 0


def test_a_copy_of_any_film_has_three_levels_at_most():
    assert flicker_of(Same(), getting_brighter()) == pytest.approx(2, abs=1e-3)


def test_the_score_is_how_far_still_pixels_move():
    still, flicker = moving_square(1)[0], Flicker()
    for level in (100, 110, 100, 110):
        flicker(from_bytes(still), from_bytes(np.full_like(still, level)))
    assert flicker.score == pytest.approx(10, abs=1e-3)


def test_what_moves_in_the_film_may_move_in_its_translation():
    assert flicker_of(Same(), moving_square()) == 0
    moving = [np.full((32, 48, 3), level, dtype=np.uint8) for level in (0, 100, 200)]
    assert flicker_of(Same(), moving) is None


def test_the_score_of_batches_is_that_of_single_frames():
    frames, translator = entering_object(), generator()
    batch, flicker = torch.cat(images(frames)), Flicker()
    for part in batch.split(5):
        flicker(part, torch.cat([translator.translate(image) for image in part.split(1)]))
    assert flicker.score == pytest.approx(flicker_of(translator, frames))
