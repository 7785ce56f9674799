"""The pages that evaluations and comparisons leave behind, in a real browser that is offline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from cyclegan.data.task import Task
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.evaluation.html import assessed, heading, messages, numbers, page, pictures
from cyclegan.evaluation.report import save_report
from cyclegan.evaluation.results import Results
from cyclegan.images.rgb8 import write_picture
from cyclegan.metrics.table import WITHOUT_WEIGHTS

PHOTO = data.coffee()
SOURCES = [np.ascontiguousarray(PHOTO[y : y + 64, x : x + 64]) for y in (100, 200, 300) for x in (150, 300)]
TRANSLATIONS = {
    "darker": [source // 2 for source in SOURCES],
    "inverted": [255 - source for source in SOURCES],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    paths = [tmp_path_factory.mktemp("sources") / f"{i}.png" for i in range(len(SOURCES))]
    for path, picture in zip(paths, SOURCES, strict=True):
        write_picture(path, picture)
    task = Task(name="photo2monet", to="monet", sources=paths, references=paths[::-1], held_out=paths[:3])
    translations = {name: dict(zip(paths, each, strict=True)) for name, each in TRANSLATIONS.items()}
    metrics = [name for name in WITHOUT_WEIGHTS if name != "copying"]
    return evaluate(translations, task, EvaluationOptions(metrics=metrics))


@pytest.fixture
def opened(browser) -> Callable[[Path], object]:
    """Opens a file; whatever a page asks for beside itself, and whatever goes wrong in it, fails the test."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    asked: list[str] = []
    wrong: list[str] = []

    def open_page(path: Path) -> object:
        shown = context.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("requestfailed", lambda request: wrong.append(request.url))
        shown.on("console", lambda message: wrong.append(message.text))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.goto(path.as_uri())
        shown.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        return shown

    yield open_page
    context.close()
    assert wrong == []
    assert all(url.startswith(("file://", "data:")) for url in asked)


def test_the_report_shows_its_tables_its_plot_and_its_pictures(opened, results, tmp_path):
    save_report(tmp_path, {"photo2monet": results}, {})
    page = opened(tmp_path / "index.html")
    assert page.locator("h1").inner_text() == "photo2monet"
    assert page.locator("table.costs").count() == 3
    assert page.locator("svg.plot circle").count() == 3  # identity and two translators; references keep no content
    assert page.locator("p.failure").count() == 1  # the inversion
    assert page.locator("table.grid img").count() == 2 * 3 * 3
    box = page.locator("svg.plot").bounding_box()
    assert box["width"] > 300
    assert box["height"] > 150
    page.screenshot(path=tmp_path / "report.png", full_page=True)


def test_a_comparison_is_a_page_of_the_same_parts(opened, results, tmp_path):
    wall = pictures({"source": SOURCES[:2], "darker": TRANSLATIONS["darker"][:2]}, ["a", "b"])
    parts = [
        numbers([["", "s"], ["darker", "0.1"]]),
        messages(["broken failed"]),
        assessed(results),
        heading("Pictures"),
        wall,
    ]
    (tmp_path / "index.html").write_text(page("monet", *parts), encoding="utf-8")
    shown = opened(tmp_path / "index.html")
    assert shown.locator("h2").all_inner_texts()[-2:] == ["Realism against content", "Pictures"]
    assert shown.locator("table.grid img").count() == 4
