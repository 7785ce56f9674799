"""The settings of training refuse what cannot be trained with, and name the field."""

import pytest

from cyclegan.training.training_config import OptimizerConfig, TrainingConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in ("steps", "patience", "log_every", "sample_every", "save_every")),
        *(
            ("keep_checkpoints", 1),
            ("constant_fraction", -0.1),
            ("constant_fraction", 1.1),
            ("ema", -0.1),
            ("ema", 1.0),
        ),
        *(("warmup_steps", -1), ("decay", 0.0), ("decay", 1.0)),
    ],
)
def test_a_value_out_of_range_is_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field}: must"):
        TrainingConfig(**{"steps": 10, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", 0.0),
        ("lr", -1.0),
        ("betas", (1.0, 0.9)),
        ("betas", (0.5, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("lr_factors", {"D": 0.0}),
        ("update_every", {"D": 0}),
    ],
)
def test_adam_is_not_given_what_it_cannot_work_with(field, value):
    with pytest.raises(ValueError, match=f"^{field}: must"):
        OptimizerConfig(**{field: value})


def test_the_defaults_are_those_of_the_paper():
    config = TrainingConfig(steps=10)
    assert (config.optimizer.lr, config.optimizer.betas) == (2e-4, (0.5, 0.999))
    assert config.constant_fraction == 0.5


def test_a_rate_that_drops_after_no_steps_is_refused():
    with pytest.raises(ValueError, match=r"^constant_fraction: must be above 0 for schedule step"):
        TrainingConfig(steps=10, schedule="step", constant_fraction=0.0)
