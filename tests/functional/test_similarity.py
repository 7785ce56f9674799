"""MS-SSIM of tensors: known answers, and gradients; its values are compared with the formula in tests of metrics."""

import pytest
import torch
from torch import Tensor

from cyclegan.functional.similarity import ms_ssim, scales_for


def images(seed: int = 0, side: int = 44) -> Tensor:
    return torch.rand(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_equal_images_have_similarity_one_in_every_channel_at_every_number_of_scales():
    for scales in (1, 2, 3):
        assert torch.allclose(ms_ssim(images(), images(), 1.0, scales), torch.ones(2, 3, dtype=torch.float64))


def test_flat_images_differ_in_brightness_alone():
    one, other = torch.full((1, 1, 11, 11), 0.8), torch.full((1, 1, 11, 11), 0.4)
    expected = (2 * 0.8 * 0.4 + 1e-4) / (0.8**2 + 0.4**2 + 1e-4)
    assert ms_ssim(one, other, 1.0, 1).item() == pytest.approx(expected, rel=1e-4)


def test_channels_and_images_are_compared_by_themselves_and_either_way():
    x, y = images(0), images(1)
    found = ms_ssim(x, y, 1.0, 2)
    assert torch.allclose(found, ms_ssim(y, x, 1.0, 2))
    assert found[1, 2].item() == pytest.approx(ms_ssim(x[1:, 2:], y[1:, 2:], 1.0, 2).item())


def test_the_range_of_values_does_not_count():
    assert torch.allclose(ms_ssim(images(0), images(1), 1.0, 3), ms_ssim(255 * images(0), 255 * images(1), 255.0, 3))


def test_an_inverted_image_has_none_and_a_gradient_that_is_finite():
    x = images().requires_grad_()
    similarity = ms_ssim(x, 1 - images(), 1.0, 3)
    assert not similarity.any()
    assert torch.autograd.grad(similarity.sum(), x)[0].isfinite().all()


def test_its_gradient_is_that_of_finite_differences():
    x, y = images(0, 22)[:1, :1].requires_grad_(), (images(0, 22)[:1, :1] + images(1, 22)[:1, :1]) / 2
    assert torch.autograd.gradcheck(lambda x: ms_ssim(x, y, 1.0, 2), x)


def test_there_is_room_for_a_scale_where_the_window_fits():
    assert [scales_for(side, 999) for side in (11, 21, 22, 44, 88, 175, 176, 4000)] == [1, 1, 2, 3, 4, 4, 5, 5]
