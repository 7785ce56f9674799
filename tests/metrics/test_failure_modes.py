"""Each planted failure of a generator is named, and no other; a healthy one shows none."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage import data
from torch import from_numpy, nn

from cyclegan.config import load
from cyclegan.experiment import Experiment
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.metrics.failure_modes import (
    checkerboard,
    copying,
    distinct,
    diversity,
    failures,
    measure_failure_modes,
)

SIDE = 128
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def cut(picture: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    corners = [[random.integers(size - SIDE) for size in picture.shape[:2]] for _ in range(count)]
    return [np.ascontiguousarray(picture[y : y + SIDE, x : x + SIDE, :3]) for y, x in corners]


@pytest.fixture(scope="module")
def sources() -> list[np.ndarray]:
    return [*cut(data.astronaut(), 6, 0), *cut(data.coffee(), 6, 1), *cut(data.chelsea(), 6, 2)]


@pytest.fixture(scope="module")
def trained() -> list[np.ndarray]:
    return [*cut(data.rocket(), 8, 3), *cut(data.immunohistochemistry(), 10, 4)]


def painted(picture: np.ndarray) -> np.ndarray:
    """What a healthy translation may do: other colors, less detail, more contrast."""
    smooth = gaussian_filter(picture.astype(float), (1.5, 1.5, 0))
    return np.clip(smooth * [1.1, 0.9, 0.8] + [-10, 5, 30], 0, 255).astype(np.uint8)


def transposed_convolution(picture: np.ndarray) -> np.ndarray:
    """Enlarged by kernels of 3 with a stride of 2, which overlap unevenly."""
    layer = nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, output_padding=1, groups=3, bias=False)
    nn.init.constant_(layer.weight, 0.5)
    small = from_numpy(picture[::2, ::2].astype(np.float32)).permute(2, 0, 1)[None]
    enlarged = layer(small).detach()[0].permute(1, 2, 0).numpy()
    return np.clip(enlarged, 0, 255).astype(np.uint8)


def with_dots(picture: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(picture.shape[:2])
    dots = np.where((rows + columns) % 2, 3, -3)[..., None]
    return np.clip(painted(picture) + dots, 0, 255).astype(np.uint8)


def test_a_healthy_translation_shows_no_failure_mode(sources, trained):
    assert failures(measure_failure_modes(sources, [painted(source) for source in sources], trained), {}) == {}


PLANTED = {
    "identity": lambda source, i, trained: source,
    "color inversion": lambda source, i, trained: 255 - source,
    "mode collapse": lambda source, i, trained: np.full_like(source, (90, 120, 60)),
    "checkerboard": lambda source, i, trained: with_dots(source),
    "copying": lambda source, i, trained: trained[i],
}


@pytest.mark.parametrize("title", PLANTED)
def test_a_planted_failure_is_named_and_no_other(title, sources, trained):
    failing = [PLANTED[title](source, i, trained) for i, source in enumerate(sources)]
    raised = failures(measure_failure_modes(sources, failing, trained), {})
    assert list(raised) == [title]


def test_a_transposed_convolution_that_does_not_fit_is_seen_as_a_checkerboard(sources):
    failing = [transposed_convolution(painted(source)) for source in sources]
    assert set(failures(measure_failure_modes(sources, failing), {})) == {"checkerboard"}


def test_photographs_have_no_checkerboard(sources, trained):
    assert checkerboard(sources) < 3
    assert checkerboard(trained) < 3


def test_diversity_is_one_for_the_sources_and_zero_for_one_picture(sources):
    assert diversity(sources, sources) == 1
    assert diversity([sources[0]] * len(sources), sources) == 0


@given(st.floats(0.1, 0.9))
@settings(max_examples=10, deadline=None)
def test_diversity_falls_with_the_contrast_between_pictures(share):
    flat = [np.full((32, 32, 3), level, np.uint8) for level in (0, 100, 200)]
    mixed = [np.round(100 + share * (picture.astype(float) - 100)).astype(np.uint8) for picture in flat]
    assert diversity(mixed, flat) == pytest.approx(share, abs=0.02)


def test_twins_are_counted(sources):
    assert distinct(sources) == 1
    assert distinct([*sources, sources[0]]) == pytest.approx(1 - 2 / (len(sources) + 1))


def test_a_copy_is_found_although_it_was_resized_and_recolored(trained, sources):
    half = trained[0].reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(1, 3))
    resized = (0.5 * half + 60).astype(np.uint8)
    assert copying([resized, sources[0]], trained) == 0.5


def test_saturation_of_a_discriminator_is_a_failure_mode():
    assert set(failures({"saturation": 0.97}, {})) == {"saturated discriminator"}
    assert failures({"saturation": 0.5}, {}) == {}


def test_a_failure_is_told_with_its_number_and_what_helps_with_the_method():
    assert failures({"change": 0.5, "luma": 0.9}, {"change": "lower lambda_cycle"}) == {
        "identity": "0.50 levels of 255 is all that changes; lower lambda_cycle"
    }


@pytest.mark.parametrize("recipe", ["cyclegan/photo2painting", "cyclegan/photo2monet", "cyclegan-cpu/photo2monet"])
def test_what_helps_against_a_checkerboard_can_be_set(recipe):
    remedies = re.findall(r"generator\.\w+=\w+", CycleGANConfig.remedies["checkerboard"])
    assert remedies
    experiment = load(EXPERIMENTS / f"{recipe}.yaml", Experiment, [f"method.{remedy}" for remedy in remedies])
    assert experiment.method.generator.upsampling == "resize"
