"""What AdaIN paints: the statistics of the style, at every size and under every control."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from random_adain import batch, features, picture, random_adain
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cyclegan.errors import UserError
from cyclegan.functional.color import match_colors
from cyclegan.functional.statistics import mean_std
from cyclegan.methods.adain import AdaIN, AdaINConfig, enlarged


@pytest.fixture(scope="module")
def method() -> AdaIN:
    return random_adain()


@pytest.fixture
def learner(method: AdaIN) -> AdaIN:
    """One that may be changed."""
    return copy.deepcopy(method)


class Recorder(nn.Module):
    """Stands in for the decoder: remembers the features it or a copy is given, and draws their first channels."""

    seen: ClassVar[list[Tensor]] = []

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        self.seen.append(features)
        return interpolate(self.scale * features[:, :3], scale_factor=8)


@pytest.fixture
def target(method: AdaIN) -> Callable[..., Tensor]:
    """What would be decoded: t, after all controls."""

    def find(*arguments: object, **controls: object) -> Tensor:
        other = copy.deepcopy(method)
        other.decoder = Recorder()
        other.stylize(*arguments, **controls)
        return other.decoder.seen[-1]

    return find


def test_what_is_decoded_has_the_statistics_of_the_style(method, target):
    content, style = picture(2, 3, 64, 64), picture(2, 3, 48, 72, seed=1)
    varies = mean_std(features(method, content))[1].flatten(1) > 0.01
    assert varies.float().mean() > 0.5
    for found, wanted in zip(mean_std(target(content, style)), mean_std(features(method, style)), strict=True):
        assert torch.allclose(found.flatten(1)[varies], wanted.flatten(1)[varies], atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 40), (31, 9)])
@pytest.mark.parametrize("style", [(2, 3), (20, 33)])
def test_every_size_is_kept_whatever_the_size_of_the_style(method, size, style):
    content = picture(2, 3, *size)
    for controls in ({}, {"keep_color": True}, {"masks": torch.ones(1, 7, 5)}):
        stylized = method.stylize(content, picture(1, 3, *style, seed=1), **controls)
        assert stylized.shape == content.shape
        assert torch.isfinite(stylized).all()
        assert stylized.abs().max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (8, 24), (16, 8), (1, 17)])
def test_a_style_too_small_for_statistics_is_enlarged_so_that_it_varies(method, target, size):
    content, style = picture(1, 3, 32, 32), picture(1, 3, *size, seed=1)
    larger = enlarged(style)
    assert min(larger.shape[-2:]) == 64
    assert larger.shape[-1] / larger.shape[-2] == pytest.approx(size[1] / size[0])
    assert torch.allclose(larger.mean(), style.mean(), atol=0.1)
    assert torch.equal(method.stylize(content, style), method.stylize(content, larger))


@pytest.mark.parametrize("size", [(16, 16), (9, 9), (8, 25), (1, 32), (48, 8), (64, 64)])
def test_a_style_of_four_positions_or_more_is_taken_as_it_is(size):
    style = picture(1, 3, *size)
    assert enlarged(style) is style


def test_alpha_0_is_the_plain_reconstruction_whatever_the_style(method):
    content = picture(1, 3, 24, 16)
    with torch.no_grad():
        copied = method.decoder(features(method, content)).clamp(-1, 1)
    for seed in (1, 2):
        stylized = method.stylize(content, picture(1, 3, 16, 16, seed=seed), alpha=0.0)
        assert torch.allclose(stylized, copied, atol=1e-6)


def test_alpha_mixes_features_evenly_and_comes_from_the_settings_by_default(method, target):
    content, style = batch()
    t, f = target(content, style, alpha=1.0), features(method, content)
    assert torch.allclose(target(content, style, alpha=0.25), 0.25 * t + 0.75 * f, atol=1e-4)
    assert torch.equal(target(content, style), t)
    half = copy.deepcopy(method)
    half.config = AdaINConfig(encoder="random", alpha=0.5, precision="float32")
    assert torch.equal(half.stylize(content, style), method.stylize(content, style, alpha=0.5))


def test_weights_of_several_styles_sum_the_features_of_each(target):
    content = picture(1, 3, 16, 24)
    styles = [picture(1, 3, 16, 16 + 8 * seed, seed=seed) for seed in (1, 2, 3)]
    alone = [target(content, style) for style in styles]
    mixed = target(content, styles, weights=[2, 1, 1])
    assert torch.allclose(mixed, 0.5 * alone[0] + 0.25 * alone[1] + 0.25 * alone[2], atol=1e-4)
    assert torch.allclose(target(content, styles), sum(alone) / 3, atol=1e-4)
    assert torch.allclose(target(content, styles, weights=[0, 0, 7]), alone[2], atol=1e-5)


def test_a_mask_confines_its_style(method):
    content, style = picture(1, 3, 16, 128), picture(1, 3, 16, 16, seed=1)
    masks = torch.zeros(1, 16, 128)
    masks[..., :64] = 1
    stylized, copied = method.stylize(content, style, masks=masks), method.stylize(content, style, alpha=0.0)
    reach = 5 * 8  # how far the decoder sees
    assert torch.allclose(stylized[..., 64 + reach :], copied[..., 64 + reach :], atol=1e-6)
    assert (stylized - copied)[..., :64].abs().mean() > 10 * (stylized - copied)[..., 64 + reach :].abs().mean()


def test_each_region_has_the_statistics_of_its_own_style(method, target):
    content, styles = picture(1, 3, 64, 128), [picture(1, 3, 32, 32, seed=seed) for seed in (1, 2)]
    masks = torch.zeros(2, 64, 128)
    masks[0, :, :48], masks[1, :, 48:] = 1, 1
    t, f = target(content, styles, masks=masks), features(method, content)
    for style, columns in zip(styles, (slice(0, 6), slice(6, 16)), strict=True):
        varies = mean_std(f[..., columns])[1].flatten() > 0.01
        for found, wanted in zip(mean_std(t[..., columns]), mean_std(features(method, style)), strict=True):
            assert torch.allclose(found.flatten()[varies], wanted.flatten()[varies], atol=1e-3)


def test_a_mask_everywhere_is_as_none_and_soft_ones_share_out_what_there_is(target):
    content, styles = picture(1, 3, 24, 16), [picture(1, 3, 16, 16, seed=seed) for seed in (1, 2)]
    assert torch.allclose(target(content, styles[0], masks=torch.ones(1, 3, 2)), target(content, styles[0]), atol=1e-4)
    assert torch.allclose(
        target(content, styles, masks=torch.ones(2, 48, 32)), target(content, styles, weights=[1, 1]), atol=1e-4
    )
    half = torch.full((1, 8, 8), 0.5)
    assert torch.allclose(target(content, styles[0], masks=half), target(content, styles[0], alpha=0.5), atol=1e-4)


def test_keeping_the_colors_is_painting_like_a_style_in_the_colors_of_each_content(method):
    contents, style = picture(2, 3, 16, 24), picture(1, 3, 24, 16, seed=1)
    kept = method.stylize(contents, style, keep_color=True)
    for content, found in zip(contents.split(1), kept.split(1), strict=True):
        assert torch.allclose(found, method.stylize(content, match_colors(style, content, "pca")), atol=1e-5)
        assert not torch.allclose(found, method.stylize(content, style), atol=1e-3)


def test_a_style_for_each_content_or_one_for_all(method):
    contents, styles = picture(2, 3, 16, 24), picture(2, 3, 24, 16, seed=1)
    apart = torch.cat([method.stylize(*pair) for pair in zip(contents.split(1), styles.split(1), strict=True)])
    assert torch.allclose(method.stylize(contents, styles), apart, atol=1e-5)
    one = method.bind(styles[:1]).translate(contents)
    assert torch.allclose(method.stylize(contents, styles[:1]), one, atol=1e-5)


def test_a_bound_style_is_encoded_once_for_all_contents(learner):
    encoded = []
    learner.encoder.register_forward_pre_hook(lambda _, arguments: encoded.append(arguments[0].shape[-1]))
    bound = learner.bind(picture(1, 3, 32, 32), alpha=0.7)
    for _ in range(3):
        bound.translate(picture(1, 3, 16, 16))
    assert encoded == [32, 16, 16, 16]


def test_half_precision_draws_nearly_the_same(method):
    content, style = batch(1, 32)
    exact = method.stylize(content, style)
    method.config = replace(method.config, precision="bfloat16")
    rough = method.stylize(content, style)
    assert not torch.equal(rough, exact)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.std()


@pytest.mark.parametrize(
    ("styles", "controls", "said"),
    [
        (0, {}, "style: give at least one picture"),
        (1, {"alpha": 1.5}, "alpha: 1.5 does not lie in 0…1"),
        (1, {"alpha": float("nan")}, "alpha: nan does not lie in 0…1"),
        (2, {"weights": [1]}, "weights: 1 given for 2 styles; give one for each"),
        (2, {"weights": [1, -1]}, "weights: 1, -1; none may be negative and one must be above 0"),
        (2, {"weights": [0, 0]}, "weights: 0, 0; none may be negative"),
        (2, {"masks": torch.ones(3, 4, 4)}, "masks: 3 given for 2 styles; give one for each"),
        (2, {"masks": torch.tensor([[[1.0]], [[0.0]]])}, "masks: number 2 is empty; mark where its style goes"),
        (1, {"masks": torch.full((1, 4, 4), 255.0)}, "masks: values from 255 to 255; scale them to 0…1"),
        (1, {"masks": torch.full((1, 4, 4), float("nan"))}, "masks: values from nan to nan"),
        (1, {"weights": [1], "masks": torch.ones(1, 4, 4)}, "weights: .* with masks leave them out"),
    ],
)
def test_controls_that_cannot_be_meant_are_refused(method, styles, controls, said):
    with pytest.raises(UserError, match=said):
        method.bind(*[picture(1, 3, 16, 16)] * styles, **controls)
