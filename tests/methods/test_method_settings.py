"""The settings of a method refuse what no network can be made of, and name the field."""

import pytest
from building import spec_of

from cyclegan.config import dump, parse
from cyclegan.errors import ConfigError
from cyclegan.methods import METHODS
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.training.training_config import TrainingConfig

TRAINING = TrainingConfig(steps=1)


@pytest.mark.parametrize(
    ("kind", "field", "least"),
    [
        (GeneratorConfig, "base_channels", 1),
        (GeneratorConfig, "downsamplings", 1),
        (GeneratorConfig, "blocks", 0),
        (DiscriminatorConfig, "base_channels", 1),
        (DiscriminatorConfig, "layers", 0),
        (DiscriminatorConfig, "scales", 1),
        (UnetConfig, "base_channels", 1),
        (UnetConfig, "downsamplings", 2),
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


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_that_is_no_share_is_refused(dropout):
    with pytest.raises(ValueError, match="dropout: must lie in 0…1, 1 excluded"):
        UnetConfig(dropout=dropout)


@pytest.mark.parametrize("option", [{"upsampling": "resize"}, {"downsampling": "blur"}], ids=str)
def test_resampling_that_nothing_would_do_is_refused(option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name}: is done by stem shuffle alone"):
        GeneratorConfig(stem="shuffle", downsamplings=1, **option)
    assert GeneratorConfig(stem="shuffle", downsamplings=2, **option)


SMALL = DiscriminatorConfig(layers=0)


@pytest.mark.parametrize(
    ("generator", "discriminator", "stride", "smallest"),
    [
        (GeneratorConfig(), DiscriminatorConfig(), 4, 24),
        (GeneratorConfig(downsamplings=3), SMALL, 8, 16),
        (GeneratorConfig(downsamplings=1), SMALL, 2, 4),
        (GeneratorConfig(downsamplings=1), DiscriminatorConfig(layers=0, scales=3), 2, 8),
        (UnetConfig(downsamplings=4), SMALL, 16, 16),
        (UnetConfig(), DiscriminatorConfig(scales=2), 256, 256),
        (GeneratorConfig(), DiscriminatorConfig(scales=3), 4, 96),
    ],
)
def test_crops_must_fit_both_networks(generator, discriminator, stride, smallest):
    config = CycleGANConfig(generator=generator, discriminator=discriminator)
    config.check(spec_of(crop_size=smallest), TRAINING)
    for crop in (smallest - stride, smallest + 1):
        with pytest.raises(ValueError, match=f"make it a multiple of {stride} and at least {smallest}"):
            config.check(spec_of(crop_size=crop), TRAINING)


@pytest.mark.parametrize("text", ["{base_channels: 8}", "{}", "{name: resnet, base_channels: 8}"])
def test_a_generator_without_a_name_is_a_resnet(text):
    config = parse(f"{{name: cyclegan, generator: {text}}}", METHODS, "old.yaml")
    assert isinstance(config.generator, GeneratorConfig)
    assert parse(dump(config), METHODS, "new.yaml") == config


def test_a_unet_takes_its_own_settings_and_no_others():
    config = parse("{name: cyclegan, generator: {name: unet, downsamplings: 7}}", METHODS, "unet.yaml")
    assert config.generator == UnetConfig(downsamplings=7)
    assert parse(dump(config), METHODS, "new.yaml") == config
    with pytest.raises(ConfigError, match=r"generator\.blocks: unknown key"):
        parse("{name: cyclegan, generator: {name: unet, blocks: 7}}", METHODS, "unet.yaml")


def test_wgan_gp_comes_with_the_penalty_of_its_paper_and_not_without_any():
    assert CycleGANConfig(gan="wgan-gp").gradient_penalty == 10
    assert CycleGANConfig(gan="wgan-gp", lambda_gp=3.0).gradient_penalty == 3
    assert (CycleGANConfig().gradient_penalty, CycleGANConfig(lambda_gp=1.0).gradient_penalty) == (0, 1)
    with pytest.raises(ValueError, match="lambda_gp: must be above 0 with wgan-gp"):
        CycleGANConfig(gan="wgan-gp", lambda_gp=0.0)


def test_weights_move_on_a_straight_line_between_the_rounds_of_the_ramp_and_stay():
    config = CycleGANConfig(lambda_cycle=10.0, lambda_cycle_final=2.0, lambda_identity=0.5, anneal=(100, 300))
    assert [config.loss_weights(played) for played in (0, 100, 150, 200, 300, 9999)] == [
        (10.0, 5.0),
        (10.0, 5.0),
        (8.0, 4.0),
        (6.0, 3.0),
        (2.0, 1.0),
        (2.0, 1.0),
    ]


def test_the_identity_loss_can_end_with_a_round():
    config = CycleGANConfig(lambda_identity_final=0.0, anneal=(7, 7))
    assert [config.loss_weights(played) for played in (0, 6, 7, 8)] == [(10.0, 5.0)] * 2 + [(10.0, 0.0)] * 2


def test_without_a_ramp_weights_never_change():
    assert CycleGANConfig().loss_weights(0) == CycleGANConfig().loss_weights(10**9) == (10.0, 5.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lambda_cycle_final": 1.0}, "lambda_cycle_final: is never reached"),
        ({"lambda_identity_final": 0.0}, "lambda_identity_final: is never reached"),
        ({"anneal": (0, 10)}, "anneal: changes nothing"),
        ({"anneal": (10, 5), "lambda_cycle_final": 1.0}, "anneal: must be two numbers"),
        ({"anneal": (-1, 5), "lambda_cycle_final": 1.0}, "anneal: must be two numbers"),
        ({"anneal": (0, 5), "lambda_cycle_final": -1.0}, "lambda_cycle_final: must be at least 0"),
    ],
)
def test_half_a_ramp_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CycleGANConfig(**settings)


@pytest.mark.parametrize(("cycle", "smallest"), [("l1", 6), ("ms-ssim", 11), ("lpips", 32)])
def test_crops_are_large_enough_for_the_distance_of_the_cycle(cycle, smallest):
    small = {"generator": GeneratorConfig(downsamplings=1), "discriminator": DiscriminatorConfig(layers=1)}
    config = CycleGANConfig(cycle=cycle, **small)
    config.check(spec_of(crop_size=smallest + smallest % 2), TRAINING)
    with pytest.raises(ValueError, match=f"make it a multiple of 2 and at least {smallest}"):
        config.check(spec_of(crop_size=smallest - 1 - (smallest - 1) % 2), TRAINING)
