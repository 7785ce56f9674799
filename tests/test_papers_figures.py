"""Every figure of the papers is made by its command, and its panels show what they are about."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from cyclegan.images.rgb8 import read_picture

SCRIPT = Path(__file__).parents[1] / "experiments" / "figures" / "papers.py"
RANDOM = ["--set", "weights=random", "--steps", "12", "--size", "32"]
needs_weights = pytest.mark.skipif(
    not os.environ.get("CYCLEGAN_WEIGHTS"), reason="CYCLEGAN_WEIGHTS does not name a folder of weights"
)


@pytest.fixture(scope="module")
def papers():
    spec = importlib.util.spec_from_file_location("papers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def panels(papers, monkeypatch):
    """The panels of the last figure that was drawn."""
    drawn = {}
    draw = papers._draw

    def look(path, figure, shown):
        drawn.update(shown)
        draw(path, figure, shown)

    monkeypatch.setattr(papers, "_draw", look)
    return drawn


def all_differ(images) -> bool:
    return all((a - b).abs().mean() > 1e-4 for i, a in enumerate(images) for b in images[:i])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"), [("tradeoff", 4), ("content-layer", 2), ("initialization", 6), ("style-layers", 5)]
)
def test_a_figure_of_gatys_has_panels_that_differ(papers, panels, tmp_path, capsys, name, count):
    assert papers.main([name, *RANDOM, "--out", str(tmp_path)]) == 0
    assert len(panels) == count
    assert all_differ(list(panels.values()))
    assert read_picture(tmp_path / f"{name}.png").std() > 20
    assert "VGG-19 (random) up to relu5_1, 32 px, 12 steps" in capsys.readouterr().out


def test_more_weight_on_content_keeps_more_of_it(papers, panels, tmp_path):
    start = ["--set", "init=noise", "--steps", "40", "--set", "weights=random", "--size", "32"]
    assert papers.main(["tradeoff", *start, "--out", str(tmp_path)]) == 0
    content = papers._picture(papers.PHOTOGRAPHS[0], 32)
    distances = [(image - content).square().mean().item() for image in panels.values()]
    assert distances[-1] < distances[0]


@needs_weights
@pytest.mark.parametrize(("name", "count", "images"), [("alpha", 5, 1), ("interpolation", 5, 5), ("regions", 3, 1)])
def test_a_figure_of_adain_has_panels_that_differ(papers, panels, tmp_path, name, count, images):
    assert papers.main([name, "--set", "weights=random", "--size", "48", "--out", str(tmp_path)]) == 0
    assert [len(panel) for panel in panels.values()] == [images] * count
    assert all_differ(list(panels.values()))


@needs_weights
def test_regions_are_painted_after_their_own_style(papers, panels, tmp_path):
    assert papers.main(["regions", "--set", "weights=random", "--size", "64", "--out", str(tmp_path)]) == 0
    left, right, both = panels.values()
    quarter = both.shape[3] // 4

    def near(panel, side):
        return (both - panel)[..., side].abs().mean()

    assert near(left, np.s_[:quarter]) < near(right, np.s_[:quarter])
    assert near(right, np.s_[-quarter:]) < near(left, np.s_[-quarter:])


@needs_weights
def test_the_timing_table_has_ratios_to_adain(papers, tmp_path, monkeypatch):
    monkeypatch.setattr(papers, "_square", lambda figure, size: figure.content)
    arguments = ["timing", "--set", "weights=random", "--size", "32", "--steps", "2", "--out", str(tmp_path)]
    assert papers.main(arguments) == 0
    lines = (tmp_path / "timing.md").read_text().splitlines()
    assert lines[2].replace(" ", "") == "|AdaIN|1|1|"
    assert lines[3].startswith("| Gatys, 2 steps |")


def test_a_picture_that_is_not_there_is_named(papers, tmp_path, capsys):
    assert papers.main(["tradeoff", *RANDOM, "--content", "nowhere.jpg", "--out", str(tmp_path)]) == 2
    assert "nowhere.jpg" in capsys.readouterr().err
