"""Every file of experiments/ is one that the command it is made for would accept."""

from pathlib import Path

import pytest

from cyclegan.config import dump, load, parse
from cyclegan.data.cards import all_cards, find_domain
from cyclegan.evaluation.compare_config import CompareConfig
from cyclegan.experiment import Experiment
from cyclegan.methods import METHODS

FOLDER = Path(__file__).parents[1] / "experiments"
COMPARISONS = sorted(FOLDER.glob("compare/*.yaml"))
UNTRAINED = [  # for translate: nothing to train
    *sorted(FOLDER.glob("gatys/*.yaml")),
    *(FOLDER / "adain" / "public.yaml", FOLDER / "style_swap" / "optimization.yaml"),
]
TRAININGS = sorted(set(FOLDER.rglob("*.yaml")) - {*COMPARISONS, *UNTRAINED})
OF_CYCLEGAN = [path for path in TRAININGS if path.parent.name == "cyclegan"]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", TRAININGS, ids=named)
def test_the_settings_of_a_training_are_understood_and_its_domain_exists(path):
    experiment = load(path, Experiment)
    assert experiment.data.domain is None or find_domain(experiment.data.domain)
    assert parse(dump(experiment), Experiment, "dumped") == experiment


@pytest.mark.parametrize(
    ("path", "kind"), [(p, METHODS) for p in UNTRAINED] + [(p, CompareConfig) for p in COMPARISONS]
)
def test_the_settings_of_a_method_or_a_comparison_are_understood(path, kind):
    found = load(path, kind)
    assert parse(dump(found), kind, "dumped") == found


def test_a_domain_has_the_name_of_its_file():
    for path in OF_CYCLEGAN:
        assert load(path, Experiment).data.domain == path.stem


def test_every_data_set_has_an_experiment():
    domains = [load(path, Experiment).data.domain for path in TRAININGS]
    of_cards = {find_domain(domain).card.name for domain in domains if domain}
    assert of_cards == {card.name for card in all_cards()}


def test_the_official_sets_are_trained_with_the_papers_settings():
    """Zhu et al. 2017, Secs. 4, 5.2 and 7.1: 200 epochs, of which half at a constant rate."""
    for path in OF_CYCLEGAN:
        experiment = load(path, Experiment)
        domain = find_domain(experiment.data.domain)
        if domain.card.archive is None:
            continue
        method, training = experiment.method, experiment.training
        images = max(domain.card.counts["trainA"], domain.card.counts["trainB"])
        assert training.steps == 200 * images
        assert (training.schedule, training.constant_fraction) == ("linear", 0.5)
        assert (training.optimizer.lr, training.optimizer.betas) == (2e-4, (0.5, 0.999))
        assert (method.lambda_cycle, method.lambda_identity, method.buffer_size) == (10.0, 0.5, 50)
        assert experiment.data.batch_size == 1
        assert method.generator.blocks == (9 if experiment.data.crop_size == 256 else 6)
        assert method.discriminator.layers == 3
