"""Gatys: pixels optimized under a frozen VGG, mostly one with random weights and few layers."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import interpolate

from cyclegan.config import load
from cyclegan.errors import UserError
from cyclegan.functional.color import luma
from cyclegan.images.tensors import read
from cyclegan.losses.perceptual import mean_form
from cyclegan.methods import METHODS
from cyclegan.methods.gatys import Example, Gatys, GatysConfig
from cyclegan.protocols import Stylizes, Translator

WEIGHTS, DATA = os.environ.get("CYCLEGAN_WEIGHTS"), os.environ.get("CYCLEGAN_DATA")
PAPER = Path(__file__).parents[2] / "experiments" / "gatys" / "paper.yaml"
SMALL = {
    "weights": "random",
    "content_layers": {"relu2_1": 1.0},
    "style_layers": {"relu1_1": 0.5, "relu2_1": 0.5},
    "coarsest": None,
    "steps": 40,
    "refine_steps": 10,
}


def gatys(**changes: object) -> Gatys:
    return Gatys(GatysConfig(**{**SMALL, **changes}))


def picture(height: int = 32, width: int = 40, seed: int = 0) -> torch.Tensor:
    """Blobs of color."""
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return interpolate(coarse, (height, width), mode="bilinear")


def psnr(image: torch.Tensor, other: torch.Tensor) -> float:
    """dB of images in [-1, 1]."""
    return (10 * torch.log10(4 / (image - other).square().mean())).item()


def with_callback(method: Gatys, content: torch.Tensor, styles: list[Example]) -> tuple[torch.Tensor, list[float]]:
    """The image, and the loss after every step."""
    totals: list[float] = []
    image = method.paint(content, styles, watch=lambda seen: totals.append(sum(seen.losses.values())), every=1)
    return image, totals


def test_it_is_a_stylizer_whose_result_keeps_the_size_and_range_of_the_content():
    method = gatys(steps=3)
    image = method.stylize(picture(33, 21), picture(16, 50, seed=1))
    assert isinstance(method, Stylizes)
    assert image.shape == (1, 3, 33, 21)
    assert image.abs().max() <= 1
    assert not image.requires_grad


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
def test_from_noise_the_loss_falls_far(optimizer, style_loss):
    method = gatys(init="noise", optimizer=optimizer, style_loss=style_loss, steps=150, learning_rate=0.05)
    _, totals = with_callback(method, picture(), [Example(picture(seed=1))])
    assert totals[-1] < totals[0] / 10


def test_a_picture_in_its_own_style_stays_what_it_is():
    content = picture()
    image = gatys(init="content", style_loss="gram", form="mean", optimizer="lbfgs").stylize(content, content)
    assert torch.allclose(image, content, atol=1e-3)


ALIKE = {
    "itself": lambda image: image,
    "brighter": lambda image: image + 0.05,
    "in 16 levels": lambda image: (image * 8).round() / 8,
    "grey": lambda image: luma(image).unsqueeze(1).expand_as(image),
}


@pytest.fixture(scope="module")
def fast() -> Gatys:
    """The recipe of that name, of few steps with random weights."""
    return Gatys(load(PAPER.with_name("fast.yaml"), METHODS, ["weights=random", "steps=6", "coarsest=null"]))


@pytest.mark.parametrize("alike", ALIKE)
def test_a_style_like_the_content_gives_the_content_back_and_no_loss_below_0(fast, alike):
    content = 0.8 * picture()
    content = ALIKE["grey"](content) if alike == "grey" else content
    image, totals = with_callback(fast, content, [Example(ALIKE[alike](content))])
    assert min(totals) >= 0
    assert psnr(image, content) >= 30


@pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
@pytest.mark.parametrize("color", ["style", "luminance", "cholesky", "pca", "sym"])
def test_the_content_as_style_keeps_its_detail_through_all_sizes(style_loss, color):
    content = picture(37, 50) + 0.1 * torch.randn(1, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    content = content.clamp(-1, 1)
    method = gatys(coarsest=24, steps=2, refine_steps=2, style_loss=style_loss, color=color)
    assert psnr(method.stylize(content, content), content) > 100


@pytest.mark.parametrize("style", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize("content", [-1.0, 0.3, "blobs"])
def test_flat_contents_and_styles_are_painted_with_finite_losses_that_are_not_negative(content, style):
    content = picture() if content == "blobs" else torch.full((1, 3, 32, 40), content)
    _, totals = with_callback(gatys(steps=4), content, [Example(torch.full((1, 3, 32, 40), style))])
    assert min(totals) >= 0
    assert math.isfinite(max(totals))


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_style_loss_falls_from_a_start_that_is_nearly_the_style(optimizer):
    content = picture()
    style = content + 0.02 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))
    _, totals = with_callback(gatys(optimizer=optimizer, learning_rate=0.002), content, [Example(style)])
    assert 0 <= totals[-1] <= totals[0]


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    one, again, other = (
        gatys(init="noise", steps=5, seed=seed).stylize(picture(), picture(seed=1)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1e-2)


def test_sum_and_mean_form_give_the_same_image_when_the_weights_are_converted():
    """methods: content in mean form is 2 / (N M) of the sum, style 4 times; see losses/perceptual.py."""
    content, style = picture(), picture(seed=1)
    shared = {"style_loss": "gram", "optimizer": "lbfgs", "steps": 60, "init": "content"}
    units = 128 * 16 * 20  # N M at relu2_1 of 32×40 pixels
    by_sum = gatys(form="sum", content_weight=1.0, style_weight=1e7, **shared).stylize(content, style)
    by_mean = gatys(form="mean", content_weight=units / 2, style_weight=1e7 / 4, **shared).stylize(content, style)
    assert (by_sum - content).abs().mean() > 0.05
    assert (by_sum - by_mean).abs().mean() < 0.02


def test_all_weight_on_the_content_keeps_it():
    content = picture()
    kept = gatys(style_weight=0.0).stylize(content, picture(seed=1))
    assert (kept - content).abs().mean() < 0.02


def test_more_weight_on_the_style_moves_the_image_further():
    content, style = picture(), picture(seed=1)
    near, far = (gatys(style_weight=w).stylize(content, style) for w in (0.1, 100.0))
    assert (far - content).square().mean() > 1.5 * (near - content).square().mean()


def test_a_mask_confines_the_style():
    content, style = picture(), picture(seed=1)
    left = torch.zeros(1, 1, 32, 40)
    left[..., :20] = 1
    image = gatys(content_weight=10.0).paint(content, [Example(style, where=left)])
    change = (image - content).abs().mean(dim=(0, 1, 2))
    assert change[:16].mean() > 3 * change[28:].mean()


def test_several_styles_are_mixed_by_their_weights():
    content, styles = picture(), [picture(seed=1), picture(seed=2)]
    method = gatys()
    first, second, mixed = (
        method.paint(content, [Example(style, weight) for style, weight in zip(styles, weights, strict=True)])
        for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
    )
    assert torch.allclose(first, method.paint(content, [Example(styles[0])]), atol=1e-4)
    assert (mixed - first).abs().mean() < (second - first).abs().mean()


def test_luminance_alone_keeps_the_chroma_of_the_content():
    content = 0.5 * picture()
    image = gatys(color="luminance", steps=10).stylize(content, picture(seed=1))
    chroma = [(x - luma(x).unsqueeze(1)) for x in (content, image)]
    inside = image.abs().amax(dim=1) < 0.99  # where nothing had to be clipped
    assert inside.float().mean() > 0.5
    assert torch.allclose(chroma[0].movedim(1, -1)[inside], chroma[1].movedim(1, -1)[inside], atol=1e-4)


def test_a_pyramid_ends_at_the_size_of_the_content():
    seen = []
    method = gatys(coarsest=16, steps=4, refine_steps=3)
    image = method.paint(picture(), [Example(picture(seed=1))], watch=lambda glance: seen.append(glance), every=1)
    widths = [glance.image.shape[3] for glance in seen]
    assert image.shape == (1, 3, 32, 40)
    assert widths == sorted(widths)
    assert widths[0] < 40 == widths[-1]
    assert [glance.step for glance in seen] == list(range(1, seen[-1].steps + 1))


def test_bound_to_a_style_it_is_a_translator_of_batches():
    contents = torch.cat([picture(), picture(seed=3)])
    bound = gatys(steps=3).bind(picture(seed=1))
    assert isinstance(bound, Translator)
    assert bound.translate(contents).shape == contents.shape


@pytest.mark.parametrize(
    "changes",
    [
        *({"steps": 0}, {"content_layers": {"relu9_1": 1.0}}, {"averaging": 1.0}, {"learning_rate": 0.0}),
        *({"style_layers": {"relu1_1": weight}} for weight in (-1.0, math.inf, math.nan)),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        GatysConfig(**changes)


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match="none may be negative"):
        gatys(steps=1).paint(picture(), [Example(picture(seed=1), 2.0), Example(picture(seed=2), -1.0)])


def test_no_style_at_all_is_refused():
    with pytest.raises(UserError, match="no style"):
        gatys(steps=1).paint(picture(), [])


def test_the_time_left_is_a_number():
    seen = []
    gatys(steps=3).paint(picture(), [Example(picture(seed=1))], watch=lambda glance: seen.append(glance), every=1)
    assert all(math.isfinite(glance.seconds_left) for glance in seen)


@pytest.fixture(scope="module")
def of_the_paper() -> dict[str, tuple[torch.Tensor, list[float]]]:
    """Chicago after La Muse from noise by L-BFGS, as in the paper but for the layers: image and losses, by form."""
    if not (WEIGHTS and DATA):
        pytest.skip("CYCLEGAN_WEIGHTS and CYCLEGAN_DATA do not name the folders of weights and pictures")
    pictures = (Path(DATA) / "style_transfer" / name for name in ("content/chicago.jpg", "style/la_muse.jpg"))
    content, style = (interpolate(read(path), (64, 96), mode="area") for path in pictures)
    config = replace(
        load(PAPER, GatysConfig),
        content_layers={"relu4_1": 1.0},
        style_layers=dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 0.25),
        steps=40,
    )
    alpha, beta = mean_form(1.0, 1.0, channels=512, positions=8 * 12)  # where those of the sum are 1
    weights = {"content_weight": config.content_weight / alpha, "style_weight": config.style_weight / beta}
    return {
        c.form: with_callback(Gatys(c), content, [Example(style)])
        for c in (config, replace(config, form="sum", **weights))
    }


@pytest.mark.parametrize("form", ["sum", "mean"])
def test_from_noise_the_paper_s_loss_falls_tenfold_on_real_features(of_the_paper, form):
    _, losses = of_the_paper[form]
    assert min(losses) < losses[0] / 10


def test_both_forms_paint_the_same_picture_on_real_features(of_the_paper):
    (one, losses), (other, other_losses) = of_the_paper["sum"], of_the_paper["mean"]
    assert losses[0] == pytest.approx(other_losses[0], rel=1e-4)
    assert psnr(one, other) > 25
