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
