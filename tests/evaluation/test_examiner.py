"""The examiner hears what ails a run and measures what was kept aside."""

import numpy as np
import pytest
import torch
from skimage import data

from cyclegan.evaluation.examiner import Examiner, Validation
from cyclegan.images import from_bytes
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
    return Preview({}, {"D_Y real": real, "D_Y fake": fake}, {"G(x)": (x, translated)})


class Shift:
    def __init__(self, by: float) -> None:
        self.by = by

    def translate(self, images: Images) -> Images:
        return (images + self.by).clamp(-1, 1)


def test_a_healthy_preview_has_symptoms_and_no_alarm(x):
    verdict = Examiner()(preview(x, (x * 0.8 + 0.1).clamp(-1, 1)))
    assert verdict.alarms == {}
    assert verdict.symptoms["saturation D_Y"] == pytest.approx(0.2)
    assert verdict.symptoms["luma G(x)"] == pytest.approx(1, abs=0.01)
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
def test_a_planted_failure_is_heard_with_its_direction_and_nothing_else(x, planted, title):
    assert list(Examiner()(preview(x, planted(x))).alarms) == [title]


@pytest.mark.parametrize(
    ("trained", "held_out", "share"), [(0.8, 0.75, 0.125), (0.8, 0.45, 0.875), (0.5, 0.45, 0.0), (0.8, 0.9, -0.25)]
)
def test_how_much_a_discriminator_has_learned_by_heart_is_told(x, trained, held_out, share):
    examiner = Examiner(trained=lambda: {"D_Y real": trained, "D_Y fake": 0.4})
    verdict = examiner(preview(x, (x * 0.8 + 0.1).clamp(-1, 1), real=held_out))
    assert verdict.symptoms["overfit D_Y"] == pytest.approx(share)
    assert list(verdict.alarms) == (["learned by heart, D_Y"] if share > 0.75 else [])


def test_nothing_is_said_of_it_where_no_pictures_of_the_training_are_scored(x):
    assert "overfit D_Y" not in Examiner()(preview(x, x)).symptoms


def test_a_discriminator_that_is_always_right_is_heard(x):
    verdict = Examiner()(preview(x, x * 0.8, real=0.99, fake=0.01))
    assert list(verdict.alarms) == ["saturated discriminator, D_Y"]


def test_validation_is_zero_for_the_targets_and_grows_with_the_distance(x):
    distances = [Validation.of(Shift(by), x, x).distance() for by in (0.0, 0.1, 0.3)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]


def test_a_verdict_holds_the_distance_of_every_direction(x, y):
    examiner = Examiner({"G(x)": Validation.of(Shift(0), x, y), "F(y)": Validation.of(Shift(0), y, x)})
    validation = examiner(preview(x, x * 0.8)).validation
    assert set(validation) == {"G(x)", "F(y)"}
    assert validation["G(x)"] == pytest.approx(validation["F(y)"])  # a distance is symmetric


def test_what_is_not_finite_is_never_the_best(x):
    class Broken:
        def translate(self, images: Images) -> Images:
            return images * torch.nan

    assert np.isinf(Validation.of(Broken(), x, x).distance())
