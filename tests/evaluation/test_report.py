"""The report: numbers that can be read back, a table that can be read, pictures in their places."""

import json
import re

import numpy as np
import pytest
import torch

from cyclegan.evaluation.assessment import assess
from cyclegan.evaluation.bootstrap import Estimate
from cyclegan.evaluation.evaluate import METRICS, Evaluation, Row
from cyclegan.evaluation.report import Report, as_table, save_report, sheet
from cyclegan.evaluation.rivals import Identity
from cyclegan.evaluation.suite import Suite
from cyclegan.images import read, to_bytes
from cyclegan.metrics.cycle import WAYS, Cycle
from cyclegan.pictures import write_picture


class Invert:
    def translate(self, images):
        return -images


@pytest.fixture
def evaluation() -> Evaluation:
    def row(psnr: float, ssim: float) -> Row:
        return Row(
            values={"psnr": np.array([psnr - 1, psnr + 1]), "ssim": np.array([ssim, ssim])},
            estimates={"psnr": Estimate(psnr, psnr - 0.5, psnr + 0.5), "ssim": Estimate(ssim, ssim, ssim)},
            differences={"psnr": Estimate(psnr - 18, -1.0, 1.0), "ssim": Estimate(0.0, 0.0, 0.0)},
        )

    return Evaluation(
        split="testA → testB",
        images=("a.png", "b.png"),
        margin=8,
        reference="identity",
        rows={"identity": row(18.0, 0.56), "the run": row(21.126, 0.7), "best*": row(22.0, 0.6)},
    )


@pytest.fixture
def report(evaluation) -> Report:
    random = np.random.default_rng(0)
    sources = [random.integers(0, 256, size=(48, 48, 3), dtype=np.uint8) for _ in range(6)]
    targets = [random.integers(0, 128, size=(48, 48, 3), dtype=np.uint8) for _ in range(6)]
    translations = {"the run": [source // 2 for source in sources], "inverted": [255 - source for source in sources]}
    suite = Suite(sources, targets, targets, only=["patch-swd", "ssim", "ms-ssim", "luma", "change"])
    return Report(
        assessment=assess(suite, translations, targets[:3]),
        pictures={"source": sources, **translations},
        captions=[f"picture {i}" for i in range(6)],
        shown="the run",
        evaluation=evaluation,
        cycles={"the run": [Cycle(dict.fromkeys(WAYS, 2.0), dict.fromkeys(WAYS, 30.0))] * 6},
        removed=3,
    )


def test_json_tells_numbers_intervals_protocol_and_provenance(report, tmp_path):
    provenance = {"seed": 3, "step": 1000, "code": "0.1.0"}
    save_report(tmp_path / "new", {"photo2painting": report, "painting2photo": report}, provenance)
    written = json.loads((tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8"))
    assert written["provenance"] == provenance
    assert set(written["protocol"]) == {*METRICS, "interval", "cycle"}
    direction = written["directions"]["photo2painting"]
    assert (direction["n"], direction["split"], direction["margin"]) == (2, "testA → testB", 8)
    assert direction["reference"] == "identity"
    assert list(direction["rows"]) == ["identity", "the run", "best*"]
    assert direction["rows"]["the run"]["psnr"] == {
        "mean": 21.126,
        "low": 20.626,
        "high": 21.626,
        "difference": {"mean": 3.126, "low": -1.0, "high": 1.0},
        "per_image": [20.126, 22.126],
    }
    unpaired = direction["unpaired"]
    assert list(unpaired["rows"]) == ["real targets (floor)", "sources (ceiling)", "the run", "inverted"]
    for row in unpaired["rows"].values():
        for number in row.values():
            assert unpaired["protocols"][number["protocol"]]["code"]
    assert set(unpaired["alarms"]) == {"inverted"}
    assert direction["cycle"]["the run"]["honesty"] == 1
    assert direction["near_duplicates"] == 3


def test_the_table_has_a_row_for_each_translator_and_marks_oracles(evaluation):
    assert as_table(evaluation).splitlines()[:5] == [
        "|  | PSNR (dB) [95 %] | SSIM [95 %] |",
        "| --- | ---: | ---: |",
        "| identity | 18.00 [17.50, 18.50] | 0.560 [0.560, 0.560] |",
        "| the run | 21.13 [20.63, 21.63] | 0.700 [0.700, 0.700] |",
        r"| best\* | 22.00 [21.50, 22.50] | 0.600 [0.600, 0.600] |",
    ]
    assert "2 images, testA → testB, scored without 8 pixels" in as_table(evaluation)


def test_the_markdown_file_answers_every_question_in_each_direction(report, tmp_path):
    save_report(tmp_path, {"photo2painting": report, "painting2photo": report}, {})
    text = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "## photo2painting"
    assert headings[len(headings) // 2] == "## painting2photo"
    assert [line.removeprefix("### ") for line in headings[1 : len(headings) // 2]] == [
        "Is it the right translation?",
        "Does it look like the target?",
        "Is the content kept?",
        "What ails it?",
        "Does it come back?",
    ]
    assert "**Alarm.** inverted: color inversion" in text
    assert "3 test pictures that are nearly pictures of the training were left out" in text


def test_the_page_shows_what_lost_most_and_what_was_kept_most(report, tmp_path):
    save_report(tmp_path, {"photo2painting": report}, {})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "the run: lost most, by MS-SSIM to source" in page
    assert "the run: kept most" in page
    assert page.count("data:image/png;base64,") == 2 * 3 * 3  # worst and best, three pictures, three columns
    assert '<svg class="plot"' in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def pictures(folder, count: int, height: int, width: int) -> list:
    paths = [folder / f"{i:02}.png" for i in range(count)]
    for i, path in enumerate(paths):
        write_picture(path, np.full((height, width, 3), 10 * i, dtype=np.uint8))
    return paths


def test_the_sheet_shows_eight_of_many_doubled_with_white_between(tmp_path):
    paths = pictures(tmp_path, 15, 80, 80)
    shown = to_bytes(sheet(Invert(), paths, paths))[0]
    assert shown.shape == (8 * 164 + 4, 3 * 164 + 4, 3)
    middles = shown[4 + 80 :: 164, 4 + 80 :: 164, 0]
    assert middles[:, 0].tolist() == [20 * i for i in range(8)]  # evenly spaced, the first and the last included
    assert torch.equal(middles[:, 1], 255 - middles[:, 0])
    assert torch.equal(middles[:, 2], middles[:, 0])
    assert (shown[:4] == 255).all()
    assert (shown[:, 164:168] == 255).all()


def test_large_pictures_keep_their_size_and_fewer_rows_are_shown_of_few(tmp_path):
    paths = pictures(tmp_path, 2, 200, 160)
    assert sheet(Identity(), paths, paths).shape == (1, 3, 2 * 204 + 4, 3 * 164 + 4)


def test_pictures_of_different_sizes_are_framed_in_white(tmp_path):
    paths = pictures(tmp_path / "a", 1, 200, 160) + pictures(tmp_path / "b", 1, 180, 190)
    shown = sheet(Identity(), paths, paths)
    assert shown.shape == (1, 3, 2 * 204 + 4, 3 * 194 + 4)
    assert torch.equal(shown[..., 4:204, 4:164], read(paths[0]))
    assert (shown[..., 4:204, 164:194] == 1).all()
