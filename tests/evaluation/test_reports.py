"""The report: numbers that can be read back, tables that can be read, images in their places."""

import json
import re

import numpy as np
import pytest

from cyclegan.data.task import Task
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.evaluation.image_grid import BAND, GAP
from cyclegan.evaluation.report import as_text, save_report
from cyclegan.evaluation.results import Results
from cyclegan.images.rgb8 import read_picture, write_picture

METRICS = ("psnr", "l1", "patch-swd", "ssim-source", "ms-ssim", "luma", "change")


class Darken:
    def translate(self, images):
        return images * 0.5 - 0.5


class Invert:
    def translate(self, images):
        return -images


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder, random = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    paths = {side: [folder / side / f"image {i}.png" for i in range(6)] for side in ("a", "b", "train")}
    for side, high in (("a", 256), ("b", 128), ("train", 120)):
        for path in paths[side]:
            write_picture(path, random.integers(0, high, size=(48, 48, 3), dtype=np.uint8))
    task = Task(
        name="a2b",
        to="b",
        sources=paths["a"],
        truths=paths["b"],
        references=paths["train"],
        held_out=paths["b"],
        fit=(paths["a"], paths["train"]),
        border=8,
    )
    options = EvaluationOptions(metrics=METRICS)
    return evaluate({"the run": Darken(), "inverted": Invert()}, task, options, {"inverted": Invert()})


def test_json_tells_numbers_intervals_measurements_and_provenance(results, tmp_path):
    provenance = {"seed": 3, "step": 1000, "code": "0.1.0"}
    save_report(tmp_path / "new", {"photo2painting": results, "painting2photo": results}, provenance)
    written = json.loads((tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8"))
    assert written["provenance"] == provenance
    assert set(written["tasks"]) == {"photo2painting", "painting2photo"}
    task = written["tasks"]["photo2painting"]
    assert task["images"] == [f"image {i}" for i in range(6)]
    assert task["baseline"] == "median + Monge-Kantorovich"
    rows = ["reference", "identity", "Monge-Kantorovich", "median + Monge-Kantorovich", "the run", "inverted"]
    assert list(task["rows"]) == [*rows, "mean target", "best per-pixel map*", "best linear 7×7*"]
    psnr = task["rows"]["the run"]["psnr"]
    assert psnr["low"] <= psnr["value"] <= psnr["high"]
    assert np.mean(psnr["per_image"]) == pytest.approx(psnr["value"], abs=1e-4)
    other = task["rows"]["median + Monge-Kantorovich"]["psnr"]["value"]
    assert psnr["difference"]["mean"] == pytest.approx(psnr["value"] - other)
    for row in task["rows"].values():
        for number in row.values():
            assert task["measurements"][number["measurement"]]["code"]
    assert task["measurements"][psnr["measurement"]]["border"] == 8
    assert set(task["failures"]) == {"inverted"}
    assert task["cycle"]["inverted"]["perturbation_ratio"] < 0.1  # of 8-bit levels nothing is lost without noise
    assert task["near_duplicates"] == 0


def test_the_table_has_a_row_for_each_translator_and_marks_oracles(results):
    lines = as_text(results).split("Is it the right translation?")[1].split("###")[0].strip().splitlines()
    assert lines[0] == "|  | PSNR (dB) ↑ | L1 ↓ |"
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [
        *("identity", "Monge-Kantorovich", "median + Monge-Kantorovich", "the run", "inverted"),
        *("mean target", r"best per-pixel map\*", r"best linear 7×7\*"),
    ]
    assert re.fullmatch(r"\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]", lines[2].split(" | ")[1])
    assert any("without 8 pixels of border" in note for note in results.notes())


def test_the_markdown_file_answers_every_question_of_each_task(results, tmp_path):
    save_report(tmp_path, {"photo2painting": results, "painting2photo": results}, {})
    text = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "## photo2painting"
    assert headings[len(headings) // 2] == "## painting2photo"
    assert [line.removeprefix("### ") for line in headings[1 : len(headings) // 2]] == [
        "Is it the right translation?",
        "Does it look like the target?",
        "Is the content kept?",
        "Does it fail?",
        "Does it come back?",
    ]
    assert "**Failure.** inverted: color inversion" in text


def test_images_that_were_left_out_or_kept_although_nearly_trained_on_are_told(results):
    from dataclasses import replace

    notes = replace(results, duplicates=3, kept_duplicates=2).notes()
    assert "3 test images that are nearly training images were left out." in notes
    assert any(
        note.startswith("2 test images are nearly training images, and their side has no others") for note in notes
    )


def test_the_page_shows_what_keeps_least_and_most(results, tmp_path):
    save_report(tmp_path, {"photo2painting": results}, {})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "the run: keeps least, by MS-SSIM to source" in page
    assert "the run: keeps most" in page
    assert page.count("data:image/png;base64,") == 2 * 3 * 5  # worst and best, three images, source and four rows
    assert '<svg class="plot"' in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_sheet_shows_sources_translations_and_truths_side_by_side(results, tmp_path):
    save_report(tmp_path, {"photo2painting": results}, {})
    sheet = read_picture(tmp_path / "photo2painting.png")
    assert sheet.shape == (BAND + 6 * (96 + GAP) + GAP, 3 * (96 + GAP) + GAP, 3)  # small images are doubled
    first = sheet[BAND + GAP : BAND + GAP + 96 : 2, GAP : GAP + 96 : 2]
    assert np.array_equal(first, results.pictures["source"][0])
