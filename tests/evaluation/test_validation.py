"""Validation: failure modes of a run while it trains, and the distance that chooses the best weights."""

import numpy as np
import pytest
import torch
from skimage import data

from cyclegan.errors import UserError
from cyclegan.evaluation.validation import TargetDistance, Validator
from cyclegan.images.tensors import from_bytes
from cyclegan.protocols import Images, Preview

CORNERS = [(0, 100), (150, 150), (60, 300), (300, 60)]


@pytest.fixture(scope="module")
def x() -> Images:
    picture = data.astronaut()
    return torch.cat([from_bytes(picture[y : y + 64, x : x + 64]) for y, x in CORNERS])


@pytest.fixture(scope="module")
def y() -> Images:
    picture = data.coffee()
    return torch.cat([from_bytes(picture[y : y + 64, x : x + 64]) for y, x in CORNERS])


def preview(x: Images, translated: Images, real: float = 0.6, fake: float = 0.4) -> Preview:
    return Preview({}, {"D_Y": (real, fake)}, {}, {"G(x)": (x, translated)})


class Shift:
    def __init__(self, by: float) -> None:
        self.by = by

    def translate(self, images: Images) -> Images:
        return (images + self.by).clamp(-1, 1)


def test_a_healthy_preview_has_numbers_and_no_failure_mode(x):
    verdict = Validator()(preview(x, (x * 0.8 + 0.1).clamp(-1, 1)))
    assert verdict.warnings == {}
    assert verdict.failure_modes["saturation D_Y"] == pytest.approx(0.2)
    assert verdict.failure_modes["luma G(x)"] == pytest.approx(1, abs=0.01)
    assert verdict.validation == {}


@pytest.mark.parametrize(
    ("planted", "title"),
    [
        (lambda x: x, "identity, G(x)"),
        (lambda x: -x, "color inversion, G(x)"),
        (lambda x: torch.zeros_like(x) + 0.3, "mode collapse, G(x)"),
        (lambda x: x * torch.nan, "NaN, G(x)"),
    ],
)
def test_a_planted_failure_is_named_with_its_target_and_nothing_else(x, planted, title):
    assert list(Validator()(preview(x, planted(x))).warnings) == [title]


def test_a_failure_comes_with_what_helps_with_the_method(x):
    verdict = Validator(remedies={"change": "lower lambda_cycle"})(preview(x, x))
    assert verdict.warnings["identity, G(x)"].endswith("; lower lambda_cycle")


@pytest.mark.parametrize(
    ("trained", "held_out", "share"),
    [(0.8, 0.75, 0.125), (0.8, 0.45, 0.875), (0.5, 0.45, 0.0), (0.8, 0.9, -0.25)],
)
def test_overfitting_of_a_discriminator_is_measured(x, trained, held_out, share):
    validator = Validator(training_scores=lambda: {"D_Y": (trained, 0.4)})
    verdict = validator(preview(x, (x * 0.8 + 0.1).clamp(-1, 1), real=held_out))
    assert verdict.failure_modes["overfit D_Y"] == pytest.approx(share)
    assert list(verdict.warnings) == (["overfitting, D_Y"] if share > 0.75 else [])


def test_overfitting_is_not_measured_on_few_or_no_images(x):
    assert "overfit D_Y" not in Validator()(preview(x, x)).failure_modes
    validator = Validator(training_scores=lambda: {"D_Y": (0.8, 0.4)})
    assert "overfit D_Y" in validator(preview(x, x)).failure_modes
    assert "overfit D_Y" not in validator(preview(x[:3], x[:3])).failure_modes


def test_a_discriminator_that_is_always_right_is_a_failure(x):
    verdict = Validator()(preview(x, x * 0.8, real=0.99, fake=0.01))
    assert list(verdict.warnings) == ["saturated discriminator, D_Y"]


@pytest.mark.parametrize("paired", [False, True])
def test_a_distance_is_zero_for_the_targets_and_grows(x, paired):
    distances = [TargetDistance.of(Shift(by), x, x, paired)() for by in (0.0, 0.1, 0.3)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]


def test_the_distance_of_pairs_is_l1_on_values_scaled_to_one(x):
    assert TargetDistance.of(Shift(51 / 127.5), x * 0.5 - 0.4, x * 0.5 - 0.4, paired=True)() == pytest.approx(
        0.2, abs=1e-3
    )


def test_a_verdict_holds_the_distance_of_every_target(x, y):
    distances = {"y": TargetDistance.of(Shift(0), x, y, False), "x": TargetDistance.of(Shift(0), y, x, False)}
    validation = Validator(distances)(preview(x, x * 0.8)).validation
    assert set(validation) == {"y", "x"}
    assert validation["y"] == pytest.approx(validation["x"])  # a distance is symmetric


@pytest.mark.parametrize("paired", [False, True])
def test_what_is_not_finite_is_never_the_best(x, paired):
    class Broken:
        def translate(self, images: Images) -> Images:
            return images * torch.nan

    assert np.isinf(TargetDistance.of(Broken(), x, x, paired)())


def test_crops_too_small_for_patches_are_refused_before_training_and_pairs_take_any_size(x):
    small = x[:, :, :16, :16]
    with pytest.raises(UserError, match=r"a side of 16 pixels.*data\.validation"):
        TargetDistance.of(Shift(0.0), small, small, paired=False)
    assert TargetDistance.of(Shift(0.0), small, small, paired=True)() == 0
