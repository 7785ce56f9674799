"""Conditional instance normalization: losses by the style of each image, mixtures, new styles, and learning two."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from style_runs import (
    LOSS,
    SPEC,
    distances,
    noise,
    toy_photos,
    toy_styles,
)
from torch import nn
from toy_runs import SIDE

from cyclegan.data.batches import IndexedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.methods.conditional_instance_norm import CIN, CINConfig
from cyclegan.methods.loss_network import LossNetworkConfig
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.protocols import Losses, Mixes, Prepares, Trainable, Translates
from cyclegan.training.training_config import TrainingConfig
from cyclegan.translate.tiles import TiledTranslator


def small(spec: DataSpec = SPEC, **settings: Any) -> CIN:
    """A method with rows that differ from each other."""
    torch.manual_seed(0)
    method = CINConfig(**{"base_channels": 2, "blocks": 1, "loss": LossNetworkConfig(**LOSS)} | settings).build(spec)
    for row in method.network.rows:
        nn.init.normal_(row, mean=0.5)
    method.prepare({style: noise(1, seed=10 + i) for i, style in enumerate(spec.styles)})
    return method


def batch(*styles: int) -> IndexedBatch:
    return IndexedBatch(noise(len(styles)), torch.tensor(styles))


def test_it_keeps_the_protocols_of_several_styles():
    method = small()
    assert all(isinstance(method, protocol) for protocol in (Trainable, Translates, Mixes, Prepares))
    assert list(method.translators) == ["muse", "wave", "ink"]


def test_a_step_minimizes_the_mean_over_the_images_of_losses_to_the_style_of_each():
    method, found = small(style_factors={"ink": 3.0}), {}
    given = batch(2, 0)
    method.training_step(given, lambda group, losses: found.update(losses))
    with torch.no_grad():
        for name, factors in (("content", (1, 1)), ("style", (3, 1))):
            each = []
            for i, style in enumerate(given.style):
                content = given.content[i : i + 1]
                stylized = method.translators[SPEC.styles[style]].translate(content)
                each.append(method.loss(stylized, content, style[None])[name] * factors[i])
            assert found[name].item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-4), name


def test_every_target_is_its_row_and_the_images_of_a_batch_do_not_mix():
    method, content = small(), noise(3, 20)
    together = method.stylize(content, torch.tensor([2, 0, 1]))
    for i, style in enumerate(("ink", "muse", "wave")):
        assert torch.allclose(method.translators[style].translate(content)[i], together[i], atol=1e-5)


class TestMixtures:
    """Σ_s w_s (γ_s, β_s), of the image or of regions of it."""

    def test_at_the_ends_they_are_the_styles_to_the_bit(self):
        method, content = small(), noise(1)
        for weights, style in (({"muse": 1.0, "ink": 0.0}, "muse"), ({"muse": 0.0, "ink": 1.0}, "ink")):
            assert torch.equal(method.mixed(weights).translate(content), method.translators[style].translate(content))

    def test_only_the_ratios_of_weights_count(self):
        method, content = small(), noise(1)
        one, other = (method.mixed({"muse": w, "ink": 3 * w}).translate(content) for w in (1.0, 0.25))
        assert torch.allclose(one, other, atol=1e-6)

    def test_a_mask_of_ones_is_its_style(self):
        method, content = small(), noise(1)
        masks = torch.stack([torch.ones(4, 4), torch.zeros(4, 4)])
        masks[1, 0, 0] = 1e-3  # an empty mask is refused
        masks[0, 0, 0] = 1 - 1e-3
        mixed = method.mixed({"wave": 1.0, "ink": 1.0}, masks).translate(content)
        assert torch.allclose(mixed, method.translators["wave"].translate(content), atol=0.02)

    def test_the_content_stays_where_no_mask_is(self):
        method, content = small(), noise(1)
        masks = torch.zeros(1, SIDE, SIDE)
        masks[:, :, : SIDE // 2] = 1
        mixed = method.mixed({"wave": 1.0}, masks).translate(content)
        assert torch.equal(mixed[..., SIDE // 2 :], content[..., SIDE // 2 :])
        assert torch.allclose(mixed[..., : SIDE // 2], method.translators["wave"].translate(content)[..., : SIDE // 2])

    @pytest.mark.parametrize(
        ("weights", "said"), [({"muse": -1.0, "ink": 2.0}, "weights: -1, 2"), ({"mose": 1.0}, "'mose': this model has")]
    )
    def test_weights_and_names_that_make_no_sense_are_refused(self, weights, said):
        with pytest.raises(UserError, match=said):
            small().mixed(weights)


def test_the_rows_of_other_styles_have_gradients_of_zero():
    method = small()

    def differentiate(group: str, losses: Losses) -> None:
        sum(losses.values()).backward()

    method.training_step(batch(1, 1), differentiate)
    assert [bool(row.grad.any()) for row in method.network.rows] == [False, True, False]


def test_a_preview_shows_contents_with_their_styles_and_changes_nothing():
    method = small()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    preview = method.preview(batch(0, 1, 2))
    assert list(preview.pictures["stylized"]) == ["c", "T(c, s)"]
    assert set(preview.numbers) == {"content, held out", "style, held out"}
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_channels": 0}, "base_channels: must be at least 1"),
        ({"blocks": 0}, "blocks: must be at least 1"),
        ({"style_factors": {"muse": 0.0}}, "style_factors: muse: must be above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CINConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "spec", "said"),
    [
        ({"style_factors": {"mose": 2.0}}, {}, "style_factors: mose is not one of muse, wave, ink"),
        ({}, {"crop_size": 18}, "crop_size 18 does not fit"),
        ({}, {"formats": {"content": PixelFormat(channels=1)}}, "1 channels are not RGB, which cin needs"),
    ],
)
def test_data_that_do_not_fit_are_refused(settings, spec, said):
    with pytest.raises(ValueError, match=said):
        CINConfig(**settings).check(replace(SPEC, **spec), TrainingConfig(steps=1))


def test_tiles_give_the_translation_of_the_whole_image():
    method, content = small(), noise(1, 96)
    whole = method.mixed({"muse": 0.5, "ink": 0.5})
    assert torch.allclose(TiledTranslator(whole, 32).translate(content), whole.translate(content), atol=1e-3)


def test_in_bfloat16_translations_are_nearly_the_same():
    method, content = small(), noise(1)
    exact = method.translators["ink"]
    frozen = replace(exact, network=inference_copy(exact.network, torch.bfloat16))
    assert (frozen.translate(content) - exact.translate(content)).abs().mean() < 0.03


def test_it_learns_two_styles_that_are_told_apart():
    """120 steps at 32 px: each output is nearest to its own style, at half of the photos' distance or less.

    Measured with seeds 0, 1, 2: 0.26, 0.23, 0.35 of the distance of the photos to the hatching, 0.23, 0.25, 0.27 of
    that to the blocks; of the other output's distance 0.44, 0.37, 0.57 and 0.31, 0.33, 0.45.
    """
    torch.manual_seed(0)
    layers = {"content_layers": {"relu2_1": 1.0}, "style_layers": dict.fromkeys(("relu1_1", "relu2_1", "relu3_1"), 1e5)}
    spec = replace(SPEC, styles=tuple(toy_styles()), crop_size=32)
    method = CINConfig(base_channels=8, blocks=1, loss=LossNetworkConfig(**LOSS | layers)).build(spec)
    method.prepare(toy_styles())
    photos = toy_photos(16, seed=0)
    adam = torch.optim.Adam(method.network.parameters(), 1e-2)

    def minimize(group: str, losses: Losses) -> None:
        adam.zero_grad()
        sum(losses.values()).backward()
        adam.step()

    for _ in range(120):
        given = IndexedBatch(photos[torch.randperm(16)[:4]], torch.randint(0, 2, (4,)))
        method.training_step(given, minimize)
    unseen = toy_photos(8, seed=99)
    photo = distances(method, unseen)
    hatching, blocks = (distances(method, method.translators[style].translate(unseen)) for style in spec.styles)
    assert hatching[0] < 0.5 * photo[0]
    assert blocks[1] < 0.5 * photo[1]
    assert hatching[0] < 0.75 * blocks[0]
    assert blocks[1] < 0.6 * hatching[1]
