"""Every file of experiments/ is one that `cyclegan train` would accept."""

from pathlib import Path

import pytest

from cyclegan.config import dump, load, parse
from cyclegan.data.cards import all_cards, find_domain
from cyclegan.experiment import Experiment

FILES = sorted((Path(__file__).parents[1] / "experiments").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_its_settings_are_understood_and_its_domain_exists(path):
    experiment = load(path, Experiment)
    assert find_domain(experiment.data.domain)
    assert parse(dump(experiment), Experiment, "dumped") == experiment


def test_a_domain_has_the_name_of_its_file():
    for path in FILES:
        if path.parent.name != "smoke":
            assert load(path, Experiment).data.domain == path.stem


def test_every_data_set_has_an_experiment():
    named = {find_domain(load(path, Experiment).data.domain).card.name for path in FILES}
    assert named == {card.name for card in all_cards()}


def test_the_official_sets_are_trained_with_the_papers_settings():
    """Zhu et al. 2017, Secs. 4, 5.2 and 7.1: 200 epochs, of which half at a constant rate."""
    for path in FILES:
        experiment = load(path, Experiment)
        domain = find_domain(experiment.data.domain)
        if domain.card.archive is None:
            continue
        method, training = experiment.method, experiment.training
        images = max(domain.card.counts["trainA"], domain.card.counts["trainB"])
        assert training.steps == 200 * images
        assert training.constant_share == 0.5
        assert (training.optimizer.lr, training.optimizer.betas) == (2e-4, (0.5, 0.999))
        assert (method.lambda_cycle, method.lambda_identity, method.buffer_size) == (10.0, 0.5, 50)
        assert experiment.data.batch_size == 1
        assert method.generator.blocks == (9 if experiment.data.crop_size == 256 else 6)
        assert method.discriminator.layers == 3
