"""A cycle that hides its source is found out; one that does not is not accused."""

import numpy as np
import pytest
import torch
from skimage import data

from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.metrics.cycle import PERTURBATIONS, cycle
from cyclegan.protocols import Images

CPU = torch.device("cpu")
PHOTO = np.ascontiguousarray(data.coffee()[100:164, 200:264])
HIDDEN = 1 / 2000  # of the range: a quarter of a level


class Brighten:
    """A painter that loses nothing but what 8 bits lose."""

    def __init__(self, by: float) -> None:
        self.by = by

    def translate(self, images: Images) -> Images:
        return images * 0.8 + self.by


class Restore:
    def translate(self, images: Images) -> Images:
        return (images - 0.1) / 0.8


class Hide:
    """Paints everything grey, and hides the source far below what is seen."""

    def translate(self, images: Images) -> Images:
        return images * HIDDEN


class Seek:
    def translate(self, images: Images) -> Images:
        return (images / HIDDEN).clamp(-1, 1)


def test_an_honest_cycle_suffers_little_from_storage():
    found = cycle(Brighten(0.1), Restore(), PHOTO, CPU)
    assert found.error["clean"] == pytest.approx(0, abs=1e-3)
    assert found.error["8-bit"] < 0.5
    assert found.error["noise"] < 5
    assert found.psnr["clean"] > 55


def test_a_cycle_with_an_error_of_its_own_is_honest_if_noise_adds_nothing():
    class Blur:
        def translate(self, images: Images) -> Images:
            return torch.nn.functional.avg_pool2d(images, 9, stride=1, padding=4)

    found = cycle(Blur(), Blur(), PHOTO, CPU)
    assert found.perturbation_ratio > 0.95


def test_a_hidden_message_is_lost_on_the_way():
    found = cycle(Hide(), Seek(), PHOTO, CPU)
    assert found.error["clean"] < 0.1
    for way in ("8-bit", "JPEG-90", "noise"):
        assert found.error[way] > 30
        assert found.psnr[way] < 16
    assert found.perturbation_ratio < 0.01


def test_errors_are_in_levels_and_of_the_source_in_eight_bits():
    class Identity:
        def translate(self, images: Images) -> Images:
            return images

    class Lift:
        def translate(self, images: Images) -> Images:
            return images + 5 / 127.5

    dark = PHOTO // 2
    found = cycle(Identity(), Lift(), dark, CPU)
    assert found.error["clean"] == pytest.approx(5, abs=1e-3)
    assert found.error["8-bit"] == pytest.approx(5, abs=1e-3)
    assert set(found.error) == set(found.psnr) == set(PERTURBATIONS)
    assert np.array_equal(to_bytes(from_bytes(dark))[0].numpy(), dark)


def test_noise_is_the_same_every_time():
    one, other = (cycle(Brighten(0.1), Restore(), PHOTO, CPU) for _ in range(2))
    assert one == other
