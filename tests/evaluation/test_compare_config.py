"""The settings of a comparison: the files of experiments, and what is refused."""

from pathlib import Path

import pytest

from cyclegan.config import dump, load, parse
from cyclegan.errors import ConfigError
from cyclegan.evaluation.compare_config import CompareConfig, RunConfig

FILES = sorted((Path(__file__).parents[2] / "experiments" / "compare").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_of_experiments_are_understood(path):
    config = load(path, CompareConfig)
    assert parse(dump(config), CompareConfig, "dumped") == config
    for method in ("color transfer", "Gatys", "AdaIN", "CycleGAN"):
        assert any(title.startswith(method) for title in config.translators)


def test_translators_are_told_apart_by_their_name():
    config = parse("{images: [a], translators: {x: {name: run, folder: r, to: y}}}", CompareConfig, "it")
    assert config.translators["x"] == RunConfig(folder=Path("r"), to="y")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{images: [], translators: {x: {name: identity}}}", "images: give image files"),
        ("{images: [a], translators: {}}", "translators: give one or more"),
        (
            "{images: [a], translators: {source: {name: identity}}}",
            "the name 'source' is that of the first column",
        ),
        (
            "{images: [a], translators: {x: {name: adian}}}",
            "translators.x.name: 'adian' is not one of identity, color-",
        ),
        ("{images: [a], translators: {x: {name: run}}}", "translators.x.folder: missing"),
        (
            "{images: [a], translators: {x: {name: method, file: f, style: []}}}",
            "translators.x.style: give one image",
        ),
        (
            "{images: [a], translators: {x: {name: checkpoint, path: f, style: []}}}",
            "x.style: give one image",
        ),
        ("{images: [a], translators: {x: {name: color-transfer, style: []}}}", "x.style: give one image"),
        ("{images: [a], translators: {x: {name: identity}}, count: 0}", "count: must be at least 1"),
        ("{images: [a], translators: {x: {name: identity}}, size: 0}", "size: must be at least 1"),
        ("{images: [a], translators: {x: {name: identity}}, timed: [256, 0]}", "timed: must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(text, said):
    with pytest.raises(ConfigError) as refused:
        parse(text, CompareConfig, "it")
    assert said in str(refused.value)


def test_a_style_for_each_image_goes_by_its_earlier_name_too():
    text = "{{images: [a], translators: {{x: {{name: checkpoint, path: f, style: [s], several: {}}}}}}}"
    now, before = (parse(text.format(value), CompareConfig, "it") for value in ("per_image", "shared out"))
    assert now == before
    assert "several: per_image" in dump(before)
