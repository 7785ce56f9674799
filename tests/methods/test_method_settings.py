"""The settings of a method refuse what no network can be made of, and name the field."""

import pytest

from cyclegan.methods.settings import CycleGANConfig, DiscriminatorConfig, GeneratorConfig


@pytest.mark.parametrize(
    ("kind", "field", "least"),
    [
        (GeneratorConfig, "base_channels", 1),
        (GeneratorConfig, "downsamplings", 1),
        (GeneratorConfig, "blocks", 0),
        (DiscriminatorConfig, "base_channels", 1),
        (DiscriminatorConfig, "layers", 1),
        (CycleGANConfig, "r1_every", 1),
        (CycleGANConfig, "buffer_size", 0),
        (CycleGANConfig, "lambda_cycle", 0.0),
        (CycleGANConfig, "lambda_identity", 0.0),
        (CycleGANConfig, "lambda_r1", 0.0),
        (CycleGANConfig, "lambda_gp", 0.0),
    ],
)
def test_a_number_below_its_least_is_refused_and_the_least_is_not(kind, field, least):
    assert getattr(kind(**{field: least}), field) == least
    with pytest.raises(ValueError, match=f"{field}: must be at least {least:g}"):
        kind(**{field: least - 1})


def test_the_defaults_are_those_of_the_paper():
    config = CycleGANConfig()
    assert (config.lambda_cycle, config.lambda_identity, config.buffer_size) == (10, 0.5, 50)
    assert (config.generator.base_channels, config.generator.blocks, config.generator.downsamplings) == (64, 9, 2)
    assert (config.discriminator.base_channels, config.discriminator.layers) == (64, 3)


def test_wgan_gp_comes_with_the_penalty_of_its_paper_and_not_without_any():
    assert CycleGANConfig(gan="wgan-gp").gradient_penalty == 10
    assert CycleGANConfig(gan="wgan-gp", lambda_gp=3.0).gradient_penalty == 3
    assert (CycleGANConfig().gradient_penalty, CycleGANConfig(lambda_gp=1.0).gradient_penalty) == (0, 1)
    with pytest.raises(ValueError, match="lambda_gp: must be above 0 with wgan-gp"):
        CycleGANConfig(gan="wgan-gp", lambda_gp=0.0)


def test_weights_move_on_a_straight_line_between_the_rounds_of_the_ramp_and_stay():
    config = CycleGANConfig(lambda_cycle=10.0, lambda_cycle_final=2.0, lambda_identity=0.5, ramp=(100, 300))
    assert [config.weights_in(played) for played in (0, 100, 150, 200, 300, 9999)] == [
        (10.0, 5.0),
        (10.0, 5.0),
        (8.0, 4.0),
        (6.0, 3.0),
        (2.0, 1.0),
        (2.0, 1.0),
    ]


def test_the_identity_loss_can_end_with_a_round():
    config = CycleGANConfig(lambda_identity_final=0.0, ramp=(7, 7))
    assert [config.weights_in(played) for played in (0, 6, 7, 8)] == [(10.0, 5.0)] * 2 + [(10.0, 0.0)] * 2


def test_without_a_ramp_weights_never_change():
    assert CycleGANConfig().weights_in(0) == CycleGANConfig().weights_in(10**9) == (10.0, 5.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lambda_cycle_final": 1.0}, "lambda_cycle_final: is never reached"),
        ({"lambda_identity_final": 0.0}, "lambda_identity_final: is never reached"),
        ({"ramp": (0, 10)}, "ramp: changes nothing"),
        ({"ramp": (10, 5), "lambda_cycle_final": 1.0}, "ramp: must be two numbers"),
        ({"ramp": (-1, 5), "lambda_cycle_final": 1.0}, "ramp: must be two numbers"),
        ({"ramp": (0, 5), "lambda_cycle_final": -1.0}, "lambda_cycle_final: must be at least 0"),
    ],
)
def test_half_a_ramp_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CycleGANConfig(**settings)


@pytest.mark.parametrize(("cycle", "smallest"), [("l1", 6), ("ms-ssim", 11), ("lpips", 32)])
def test_crops_are_large_enough_for_the_distance_of_the_cycle(cycle, smallest):
    small = {"generator": GeneratorConfig(downsamplings=1), "discriminator": DiscriminatorConfig(layers=1)}
    config = CycleGANConfig(cycle=cycle, **small)
    config.require_fitting(smallest + smallest % 2)
    with pytest.raises(ValueError, match=f"make it a multiple of 2 and at least {smallest}"):
        config.require_fitting(smallest - 1 - (smallest - 1) % 2)
