"""The pages that evaluations and comparisons leave behind, in a real browser that is offline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from cyclegan.evaluation.assessment import Assessment, assess
from cyclegan.evaluation.html import alarms, assessed, heading, numbers, page, pictures
from cyclegan.evaluation.report import Report, save_report
from cyclegan.evaluation.suite import WITHOUT_WEIGHTS, Suite

PHOTO = data.coffee()
SOURCES = [np.ascontiguousarray(PHOTO[y : y + 64, x : x + 64]) for y in (100, 200, 300) for x in (150, 300)]
TRANSLATIONS = {"darker": [source // 2 for source in SOURCES], "inverted": [255 - source for source in SOURCES]}


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    return assess(Suite(SOURCES, SOURCES[::-1], only=WITHOUT_WEIGHTS), TRANSLATIONS, SOURCES[:3])


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


def test_the_report_shows_its_tables_its_plot_and_its_pictures(opened, assessment, tmp_path):
    shown = {"source": SOURCES, **TRANSLATIONS}
    captions = [f"picture {i}" for i in range(len(SOURCES))]
    report = Report(assessment=assessment, pictures=shown, captions=captions, shown="darker")
    save_report(tmp_path, {"photo2monet": report}, {})
    page = opened(tmp_path / "index.html")
    assert page.locator("h1").inner_text() == "photo2monet"
    assert page.locator("table.costs").count() == 3
    assert page.locator("svg.plot circle").count() == 3  # the ceiling and two translators; the floor keeps no content
    assert page.locator("p.failure").count() == 1  # the inversion
    assert page.locator("table.wall img").count() == 2 * 3 * 3
    box = page.locator("svg.plot").bounding_box()
    assert box["width"] > 300
    assert box["height"] > 150
    page.screenshot(path=tmp_path / "report.png", full_page=True)


def test_a_comparison_is_a_page_of_the_same_parts(opened, assessment, tmp_path):
    wall = pictures({"source": SOURCES[:2], "darker": TRANSLATIONS["darker"][:2]}, ["a", "b"])
    parts = [
        numbers([["", "s"], ["darker", "0.1"]]),
        alarms(["broken failed"]),
        assessed(assessment),
        heading("Pictures"),
        wall,
    ]
    (tmp_path / "index.html").write_text(page("monet", *parts), encoding="utf-8")
    shown = opened(tmp_path / "index.html")
    assert shown.locator("h2").all_inner_texts()[-2:] == ["Realism against content", "Pictures"]
    assert shown.locator("table.wall img").count() == 4
