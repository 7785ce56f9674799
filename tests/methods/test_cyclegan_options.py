"""What CycleGAN can do beyond its paper: R1, other distances and games, augmentation."""

import pytest
import torch
from building import spec_of
from rounds import batch, losses_of, tiny

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.methods.cyclegan import CycleGANConfig

CYCLE = {"cycle_x", "cycle_y"}


# R1


def test_r1_is_applied_in_every_so_many_rounds_and_counts_as_many_times():
    method = tiny(lambda_r1=0.7, r1_every=3)
    applied = [k for k in range(7) if "r1_X" in losses_of(method, batch())]
    assert applied == [0, 3, 6]
    every_round = losses_of(tiny(lambda_r1=0.7, r1_every=1), batch())
    seldom = losses_of(tiny(lambda_r1=0.7, r1_every=3), batch())
    for name in ("r1_X", "r1_Y"):
        assert seldom[name] == pytest.approx(3 * every_round[name])


def test_r1_is_half_the_squared_slope_of_the_mean_score_at_real_images():
    method, seen = tiny(lambda_r1=0.7, r1_every=1), batch(2)
    losses = losses_of(method, seen)
    for name, judge, real in (("r1_X", method.D_X, seen.x), ("r1_Y", method.D_Y, seen.y)):
        slopes = []
        for image in real.split(1):
            image = image.clone().requires_grad_()
            slopes.append(torch.autograd.grad(judge(image).mean(), image)[0].square().sum())
        assert losses[name] == pytest.approx(0.7 * 0.5 * (sum(slopes) / 2).item(), rel=1e-4)


def test_r1_is_off_by_default():
    assert CycleGANConfig().lambda_r1 == 0
    assert "r1_X" not in losses_of(tiny(), batch())


# Other distances of the cycle


@pytest.mark.parametrize("cycle", ["ms-ssim", "lpips"])
def test_only_the_cycle_is_measured_by_its_distance_and_no_weights_or_state_come_with_it(cycle, random_lpips):
    method, seen = tiny(cycle=cycle), batch(2, side=32)
    assert method.state_dict().keys() == tiny().state_dict().keys()
    assert len(list(method.parameters())) == len(list(tiny().parameters()))
    expected, losses = losses_of(tiny(), seen), losses_of(method, seen)
    assert {name for name in losses if losses[name] != expected[name]} == CYCLE
    with torch.no_grad():
        cycled = method.F(method.G(seen.x))
        distance = method.distance(cycled, seen.x).item()
    assert losses["cycle_x"] == pytest.approx(10 * distance, rel=1e-4)


def test_to_translate_nothing_is_loaded_for_the_cycle(monkeypatch):
    monkeypatch.setattr("cyclegan.methods.cyclegan.Lpips", lambda: pytest.fail("loads weights"))
    with torch.device("meta"):
        CycleGANConfig(cycle="lpips").build(spec_of(), train=False)


# Other games


@pytest.mark.parametrize("gan", GAN_LOSSES)
def test_each_game_is_played_by_its_losses_on_the_scores_of_present_and_past_fakes(gan):
    method, seen = tiny(gan=gan, lambda_gp=0.1), batch(2)
    with torch.no_grad():
        fake_y, fake_x = method.G(seen.x), method.F(seen.y)
        judged = {"X": (method.D_X(seen.x), method.D_X(fake_x)), "Y": (method.D_Y(seen.y), method.D_Y(fake_y))}
    losses = losses_of(method, seen)
    for side, generator in (("X", "gan_F"), ("Y", "gan_G")):
        real, fake = judged[side]
        assert losses[generator] == pytest.approx(GAN_LOSSES[gan].generator(fake).item(), rel=1e-5)
        assert losses[f"D_{side}"] == pytest.approx(0.5 * GAN_LOSSES[gan].discriminator(real, fake).item(), rel=1e-5)


def test_wgan_gp_penalizes_slopes_between_reals_and_past_fakes_in_proportion_to_the_halved_game(monkeypatch):
    between = []
    monkeypatch.setattr(
        "cyclegan.methods.cyclegan.interpolate", lambda real, fake: between.append((real, fake)) or real
    )
    method, seen = tiny(gan="wgan-gp"), batch(2)
    past = -torch.ones(2, 3, 16, 16)
    method.fake_pool_x.forward = method.fake_pool_y.forward = lambda fakes: past
    losses = losses_of(method, seen)
    assert [(real is r, fake is past) for (real, fake), r in zip(between, seen, strict=True)] == [(True, True)] * 2
    for name, judge, real in (("gp_X", method.D_X, seen.x), ("gp_Y", method.D_Y, seen.y)):
        lengths = []
        for image in real.split(1):
            image = image.clone().requires_grad_()
            lengths.append(torch.autograd.grad(judge(image).mean(), image)[0].norm())
        expected = 0.5 * 10 * sum((length - 1) ** 2 for length in lengths) / 2
        assert losses[name] == pytest.approx(expected.item(), rel=1e-4)


def test_penalties_are_in_full_precision_under_autocast():
    full = losses_of(tiny(gan="wgan-gp", lambda_r1=1.0), batch())
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        method = tiny(gan="wgan-gp", lambda_r1=1.0)
        method.fake_pool_x.forward = method.fake_pool_y.forward = lambda fakes: torch.zeros_like(fakes)
        losses = method.training_step(batch(), lambda player, losses: None)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert losses["r1_X"].item() == pytest.approx(full["r1_X"], rel=1e-6)


# DiffAugment


def test_all_that_the_discriminators_see_is_augmented_and_nothing_else(monkeypatch):
    monkeypatch.setattr("cyclegan.methods.cyclegan.augment", lambda images, kinds: -images if kinds else images)
    settings = {"lambda_r1": 1.0, "lambda_gp": 1.0}
    method, twin = tiny(augment=("color",), **settings), tiny(**settings)
    for judge in (twin.D_X, twin.D_Y):  # of the negative, by weights of the other sign
        judge.layers[0].weight.data.neg_()
    losses, expected = losses_of(method, batch()), losses_of(twin, batch())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert losses != pytest.approx(losses_of(tiny(**settings), batch()), rel=1e-2)
