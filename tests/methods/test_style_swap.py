"""Style swap: Eqs. (2) and (5), any size and style, mixed styles, and an inverse network that learns."""

import copy
from pathlib import Path

import pytest
import torch
from building import spec_of
from random_adain import batch, picture
from torch import Tensor

from cyclegan.cli import main
from cyclegan.commands.train import train
from cyclegan.data.batches import UnpairedBatch
from cyclegan.errors import UserError
from cyclegan.functional.patch_swap import swap_patches
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.methods.style_swap import StyleSwap, StyleSwapConfig
from cyclegan.methods.swap_inversion import normalized_distance, smoothness
from cyclegan.model.load import load
from cyclegan.model.strength import at_strength
from cyclegan.protocols import Losses, Scales, Stylizes, Trainable, Translator, Watchable
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig


def style_swap(**settings: object) -> StyleSwap:
    torch.manual_seed(0)
    return StyleSwap(StyleSwapConfig(**{"encoder": "random"} | settings)).eval()


@pytest.fixture(scope="module")
def method() -> StyleSwap:
    return style_swap()


def by_optimization(**settings: object) -> StyleSwap:
    return style_swap(inversion="optimization", **settings)


def test_it_is_trainable_and_a_stylizer_whose_strength_scales(method):
    assert isinstance(method, Trainable)
    assert isinstance(method, Stylizes)
    for bound in (method.bind(picture(1, 3, 16, 16)), by_optimization(steps=1).bind(picture(1, 3, 16, 16))):
        assert isinstance(bound, Translator)
        assert isinstance(bound, Scales)
        assert isinstance(bound, Watchable) == (bound.__class__.__name__ == "SwapOptimization")


@pytest.mark.parametrize("settings", [{}, {"patch": 5}, {"norm": "batch", "output": "linear"}])
@pytest.mark.parametrize("size", [(1, 1), (33, 21), (24, 40)])
def test_every_size_of_content_and_style_is_taken(settings, size):
    bound = style_swap(**settings).bind(picture(1, 3, 5, 37, seed=1))
    painted = bound.translate(picture(1, 3, *size))
    assert painted.shape == (1, 3, *size)
    assert painted.abs().max() <= 1


def test_an_image_of_one_color_stays_finite(method):
    assert method.bind(picture(1, 3, 20, 20)).translate(torch.full((1, 3, 20, 20), 0.3)).isfinite().all()


def test_the_translation_is_the_inverse_of_the_swap(method):
    content, style = batch(1, 32)
    with torch.no_grad():
        h = swap_patches(method.encoder(content)["relu3_1"], method.encoder(style)["relu3_1"])
        assert torch.allclose(method.bind(style).translate(content), method.inverse(h), atol=1e-5)


def test_losses_are_those_of_equation_5():
    method = style_swap(tv_weight=1e-6)
    content, style = batch(2, 16)
    with torch.no_grad():
        losses = method.training_step(batch(2, 16), lambda group, losses: None)
        c, s = (method.encoder(images)["relu3_1"] for images in (content, style))
        errors, roughness = [], []
        for h in (c, s, swap_patches(c, s)):
            x = method.inverse(h)
            errors.append((method.encoder(x)["relu3_1"] - h).square().mean().item())
            x = 127.5 * (x + 1)
            roughness += [x.diff(dim=2).square().sum().item() / 2, x.diff(dim=3).square().sum().item() / 2]
    assert losses["features"].item() == pytest.approx((errors[0] + errors[1]) / 4 + errors[2] / 2, rel=1e-4)
    assert losses["tv"].item() == pytest.approx(1e-6 * sum(roughness) / 3, rel=1e-4)


def test_gradients_reach_all_of_the_inverse_network_and_nothing_else():
    learner = style_swap()
    (owned,) = (list(parameters) for parameters in learner.parameter_groups().values())

    def differentiate(group: str, losses: Losses) -> None:
        assert group == "inverse"
        sum(losses.values()).backward()

    learner.training_step(batch(1, 32), differentiate)
    assert all(p.grad is not None for p in owned)
    assert all(p.grad is None for p in learner.encoder.parameters())


def test_the_smoothness_is_a_sum_over_pixels_of_values_from_0_to_255():
    x = torch.zeros(2, 3, 4, 5)
    x[0, 0, 0, 0] = 1.0
    assert smoothness(x).item() == pytest.approx(2 * 127.5**2 / 2)


def test_a_style_of_one_patch_paints_the_same_everywhere():
    method = style_swap(patch=1)
    one = torch.full((1, 256, 1, 1), 2.0)
    swapped = method.bind(picture(1, 3, 16, 16)).network.swapped
    swapped.styles = [one]
    assert torch.equal(swapped(picture(1, 3, 16, 24)), one.expand(1, 256, 4, 6))


class TestControls:
    """Several styles, regions and strength act on the features."""

    content, styles = picture(1, 3, 32, 32), [picture(1, 3, 24, 40, seed=i) for i in (1, 2)]

    def mixed(self, method: StyleSwap, **controls: object) -> Tensor:
        return method.bind(*self.styles, **controls).network.swapped(self.content)

    def alone(self, method: StyleSwap, style: int) -> Tensor:
        return method.bind(self.styles[style]).network.swapped(self.content)

    def test_weights_mix_the_swapped_features(self, method):
        expected = (3 * self.alone(method, 0) + self.alone(method, 1)) / 4
        assert torch.allclose(self.mixed(method, weights=[3, 1]), expected, atol=1e-5)

    def test_masks_give_each_style_its_region_and_leave_the_rest(self, method):
        masks = torch.zeros(2, 32, 32)
        masks[0, :16] = masks[1, 16:24] = 1
        swapped = self.mixed(method, masks=masks)
        own = method.encode(self.content)
        assert torch.allclose(swapped[:, :, :4], self.alone(method, 0)[:, :, :4], atol=1e-6)
        assert torch.allclose(swapped[:, :, 4:6], self.alone(method, 1)[:, :, 4:6], atol=1e-6)
        assert torch.allclose(swapped[:, :, 6:], own[:, :, 6:], atol=1e-6)

    def test_strength_goes_from_the_features_of_the_content_to_the_swapped_ones(self, method):
        whole = method.bind(self.styles[0])
        own, swapped = method.encode(self.content), whole.network.swapped(self.content)
        half = at_strength(at_strength(whole, 0.8), 0.5)
        assert torch.allclose(half.network.swapped(self.content), own.lerp(swapped, 0.4), atol=1e-5)
        assert torch.allclose(at_strength(whole, 0.0).network.swapped(self.content), own)

    def test_masks_that_do_not_fit_are_refused(self, method):
        with pytest.raises(UserError, match="masks: 1 given for 2 styles"):
            method.bind(*self.styles, masks=torch.ones(1, 4, 4))

    def test_large_styles_are_reduced_and_small_ones_enlarged(self):
        method = style_swap(style_size=32)
        assert method.bind(picture(1, 3, 64, 48)).network.swapped.styles[0].shape[2:] == (8, 6)
        assert method.bind(picture(1, 3, 4, 8)).network.swapped.styles[0].shape[2:] == (16, 32)
        assert method.enlarged(picture(1, 3, 4, 8)).shape[2:] == (64, 128)
        assert method.enlarged(self.content) is self.content


class TestOptimization:
    """The pixels of each image are optimized (Eq. 2)."""

    def test_the_loss_falls_well_below_its_start_and_is_reported(self):
        """40 steps at 40 × 28 px, 3 pairs of images: 0.50, 0.50 and 0.48 of the first distance."""
        states = []
        bound = by_optimization(steps=40).bind(picture(1, 3, 32, 32, seed=1))
        content = picture(1, 3, 38, 27)
        painted = bound.with_callback(states.append, every=1).translate(content)
        assert [state.step for state in states] == list(range(1, 41))
        assert states[-1].losses["features"] < 0.7 * states[0].losses["features"]
        assert states[-1].image.shape == painted.shape == content.shape
        assert (painted - content).abs().mean() > 0.02

    def test_the_reported_losses_are_those_of_equation_2(self):
        states = []
        method = by_optimization(steps=1, tv_weight=1e-7)
        content, style = picture(1, 3, 24, 24), picture(1, 3, 20, 24, seed=1)
        method.bind(style).with_callback(states.append, every=1).translate(content)
        c, s = (method.encode(images) for images in (content, style))
        difference = c - swap_patches(c, s)
        expected = difference.square().mean().item() / (2 * difference.abs().mean().item())
        assert states[0].losses["features"] == pytest.approx(expected, rel=1e-4)
        assert states[0].losses["tv"] == pytest.approx(1e-7 * smoothness(content).item(), rel=1e-4)

    def test_the_gradient_of_the_features_is_divided_by_the_sum_of_its_magnitudes(self):
        features = torch.randn(1, 256, 4, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
        target = torch.ones_like(features)
        normalized_distance(features, target).backward()
        expected = 2 * (features.detach() - target) / features.numel()
        assert torch.allclose(features.grad, expected / expected.abs().sum(), rtol=0, atol=1e-10)

    def test_each_image_of_a_batch_is_painted_by_itself(self):
        bound, contents = by_optimization(steps=3).bind(picture(1, 3, 16, 16)), picture(2, 3, 16, 20)
        assert torch.equal(bound.translate(contents)[1:], bound.translate(contents[1:]))

    def test_a_content_that_is_the_style_stays_nearly_as_it_is(self):
        """Its swap is its own features; without total variation nothing is left to minimize but rounding."""
        content = picture(1, 3, 24, 24)
        assert torch.equal(by_optimization(steps=5, tv_weight=0.0).bind(content).translate(content), content)

    def test_strength_0_leaves_the_content(self):
        bound = at_strength(by_optimization(steps=5, tv_weight=0.0).bind(picture(1, 3, 16, 16)), 0.0)
        content = picture(1, 3, 24, 24, seed=1)
        assert torch.equal(bound.translate(content), content)

    def test_there_is_nothing_to_train(self):
        with pytest.raises(ValueError, match="method: inversion optimization learns nothing; take network"):
            StyleSwapConfig(inversion="optimization").check(spec_of(crop_size=32), TrainingConfig(steps=1))


def test_a_state_is_that_of_the_inverse_network_alone(method):
    state = method.state_dict()
    assert state.keys() == {"inverse"}
    other = StyleSwap(StyleSwapConfig(encoder="random")).eval()
    content, style = batch(1, 16)
    assert not torch.equal(other.bind(style).translate(content), method.bind(style).translate(content))
    other.load_state_dict(state)
    assert torch.equal(other.bind(style).translate(content), method.bind(style).translate(content))


def test_a_preview_shows_all_images_and_changes_nothing(method):
    before = copy.deepcopy(method.inverse.state_dict())
    preview = method.preview(batch(2, 16))
    assert {title: tuple(images.shape) for title, images in preview.pictures["stylized"].items()} == dict.fromkeys(
        ("c", "s", "swapped", "inverse(Φ(c))"), (2, 3, 16, 16)
    )
    assert preview.numbers["relative error of Φ(c)"] > 0
    assert all(torch.equal(before[key], value) for key, value in method.inverse.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patch": 0}, "patch: must be at least 1"),
        ({"style_stride": 0}, "style_stride: must be at least 1"),
        ({"steps": 0}, "steps: must be at least 1"),
        ({"tv_weight": -1.0}, "tv_weight: must be at least 0"),
        ({"style_size": 8}, "style_size: must be at least 12 for patch 3"),
        ({"feature_scale": 0.0}, "feature_scale: must be above 0"),
        ({"learning_rate": 0.0}, "learning_rate: must be above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        StyleSwapConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({}, 8e-6),
        ({"inversion": "optimization"}, 1e-7),
        ({"encoder": "normalised"}, 0.0),
        ({"encoder": "normalised", "tv_weight": 1e-3}, 1e-3),
    ],
)
def test_the_weight_of_the_smoothness_is_the_authors_for_caffe_or_what_is_given(settings, weight):
    assert StyleSwapConfig(**settings).tv == weight


def test_crops_and_batch_norms_that_do_not_fit_are_refused():
    spec, training = spec_of(crop_size=32), TrainingConfig(steps=1, accumulate=2)
    StyleSwapConfig().check(spec, training)
    with pytest.raises(ValueError, match="crop_size 30 does not fit these networks; make it a multiple of 4"):
        StyleSwapConfig().check(spec_of(crop_size=30), training)
    with pytest.raises(ValueError, match="training: accumulate changes what a batch norm sees"):
        StyleSwapConfig(norm="batch").check(spec, training)


def test_a_run_resumes_and_its_release_paints_any_style_in_both_ways(tmp_path, monkeypatch, first_difference):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 0), ("b", 1)):
        for i in range(2):
            image = ((picture(1, 3, 48, 40, seed=10 * seed + i)[0] + 1) * 127.5).byte().permute(1, 2, 0).numpy()
            write_picture(tmp_path / name / f"{i}.png", image)
    settings = tmp_path / "tiny.yaml"
    settings.write_text(
        "name: tiny\nmethod: {name: style_swap, encoder: random, steps: 3}\n"
        "data: {x: a, y: b, load_size: null, crop_size: 16, workers: 1}\n"
        "training: {steps: 4, save_every: 2, sample_every: 2, log_every: 2, keep_checkpoints: 3, device: cpu}\n"
    )
    run = train(settings, [])
    last = run / "checkpoints" / "step-00000004"
    whole = tmp_path / "whole"
    last.rename(whole)
    train(settings, [])
    assert first_difference(whole, last) is None

    release, style = last / "release.safetensors", tmp_path / "b" / "0.png"
    for override in ("network", "optimization"):
        command = ["translate", str(release), "a/0.png", "--style", str(style), "--out", override]
        assert main([*command, "--set", f"inversion={override}"]) == 0
    one, other = (read_picture(Path(name) / "0.png") for name in ("network", "optimization"))
    assert one.shape == other.shape == (48, 40, 3)
    assert (one != other).any()
    assert load(release, device="cpu").stylizer.pretrained["name"] == "random"


def test_the_inverse_network_learns_to_return_the_image_of_features():
    """60 steps at 32 px: the error in the features of held-out images, of their squares, falls far.

    Seeds 0, 1, 2: from .40, .75, .54 to .107, .136, .141. The mean color of
    each image has .60, .69, .69.
    """
    method = style_swap()
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig(lr=1e-3, betas=(0.9, 0.999)))
    held_out = picture(4, 3, 32, 32, seed=10_000)
    first, flat = inversion_error(method, held_out), held_out.mean(dim=(2, 3), keepdim=True).expand_as(held_out)
    for step in range(60):
        sides = (picture(2, 3, 32, 32, seed=2 * step + side) for side in (0, 1))
        method.training_step(UnpairedBatch(*sides), optimizers.minimize)
    last = inversion_error(method, held_out)
    assert last < 0.5 * first
    assert last < 0.5 * feature_error(method, flat, held_out)


def inversion_error(method: StyleSwap, images: Tensor) -> float:
    """Relative error of the features of the inverse of features."""
    with torch.no_grad():
        return feature_error(method, method.inverse(method.encode(images)), images)


@torch.no_grad()
def feature_error(method: StyleSwap, images: Tensor, targets: Tensor) -> float:
    h = method.encode(targets)
    return float((method.encode(images) - h).square().sum() / h.square().sum())


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [("name: style_swap\n", "set inversion to optimization"), ("name: adain\n", "set decoder to public")],
)
def test_settings_whose_network_is_untrained_are_refused(settings, remedy, tmp_path):
    (tmp_path / "a.yaml").write_text(settings)
    with pytest.raises(UserError, match=f"a.yaml: its network is untrained; .* {remedy}"):
        load(tmp_path / "a.yaml", device="cpu")
