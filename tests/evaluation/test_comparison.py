"""Comparison: the same images for all; translators that fail are named, and the others continue."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.evaluation import comparison as comparing
from cyclegan.evaluation.baselines import Identity
from cyclegan.evaluation.comparison import (
    UNTRAINED,
    Comparison,
    Cost,
    Entry,
    Unavailable,
    color_transfer,
    compare_translators,
    locate_images,
)
from cyclegan.evaluation.comparison_report import comparison_as_json, failed, save_comparison, table
from cyclegan.evaluation.evaluator import EvaluationOptions
from cyclegan.evaluation.image_grid import GAP
from cyclegan.evaluation.timing import Timing
from cyclegan.functional.color import color_moments
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.images.tensors import read

CPU = torch.device("cpu")


class Invert:
    def translate(self, images):
        return -images


class Raise:
    def translate(self, images):
        raise RuntimeError("out of\nmemory")


class FailWhenLarge:
    def translate(self, images):
        if images.shape[-1] >= 32:
            raise RuntimeError("too large")
        return images


class Shrink:
    def translate(self, images):
        return images[..., 1:]


class Explode:
    def translate(self, images):
        return images / 0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A timing that costs no time; the real one has its own tests."""

    def measured(translator, images):
        translator.translate(images)
        return Timing(seconds=images.shape[-1] / 1000, runs=5, memory=3_000_000)

    monkeypatch.setattr(comparing, "measure", measured)


@pytest.fixture
def photographs(tmp_path) -> list[Path]:
    """Three of different sizes, each with a level of its own."""
    paths = [tmp_path / "photographs" / f"{name}.png" for name in ("a", "b", "c")]
    for i, (path, (height, width)) in enumerate(zip(paths, [(20, 30), (24, 16), (200, 400)], strict=True)):
        picture = np.full((height, width, 3), 40 * i, dtype=np.uint8)
        picture[:2, :2] = 255
        write_picture(path, picture)
    return paths


def run(photographs, entries, size=64, timed=(16, 32), metrics=(), **images) -> Comparison:
    task = Task(name="comparison", to="", sources=photographs, **images)
    return compare_translators(entries, task, EvaluationOptions(metrics=metrics, size=size), timed)


def test_every_translator_is_given_the_same_pictures(photographs):
    compared = run(photographs, {"one": Entry(Identity()), "two": Entry(Identity()), "no": Entry(Invert())})
    for name in ("one", "two"):
        for picture, source in zip(compared.results[name].pictures, compared.sources, strict=True):
            assert np.array_equal(picture, source)
    for picture, source in zip(compared.results["no"].pictures, compared.sources, strict=True):
        assert np.array_equal(picture, 255 - source)


def test_large_pictures_are_reduced_with_their_aspect_and_small_ones_are_kept(photographs):
    assert [s.shape for s in run(photographs, {}).sources] == [(20, 30, 3), (24, 16, 3), (32, 64, 3)]
    assert [s.shape for s in run(photographs, {}, size=None).sources] == [
        (20, 30, 3),
        (24, 16, 3),
        (200, 400, 3),
    ]


def test_a_reduced_picture_shows_what_the_picture_shows(tmp_path):
    picture = np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)
    write_picture(tmp_path / "large.png", picture.repeat(20, axis=0).repeat(20, axis=1))
    reduced = run([tmp_path / "large.png"], {}, size=60).sources[0]
    assert np.abs(reduced[5::10, 5::10].astype(int) - picture).max() < 12


@pytest.mark.parametrize(
    ("translator", "said"),
    [
        (Raise(), "RuntimeError: out of memory"),
        (Unavailable(UserError("runs/lost: does not exist")), "runs/lost: does not exist"),
        (Shrink(), "returned (1, 3, 20, 29) for (1, 3, 20, 30); the shape must be kept"),
        (Explode(), "returned values that are not finite; the weights are damaged or training diverged"),
    ],
)
def test_who_fails_is_named_with_the_error_and_the_others_continue(photographs, tmp_path, translator, said):
    entries = {"before": Entry(Identity()), "broken": Entry(translator), "after": Entry(Invert())}
    compared = run(photographs, entries, metrics=("ssim-source",))
    assert compared.results["broken"].error == said
    assert compared.results["before"].error is compared.results["after"].error is None
    assert failed(compared) == [f"broken failed: {said}"]
    rows = table(compared)
    assert [row[0] for row in rows] == ["", "before", "broken", "after"]
    assert rows[2][1:4] == ["failed", "failed", "failed"]
    assert list(compared.metrics.rows) == ["identity", "before", "after"]
    assert rows[3][1:4] == ["0.0160", "0.0320", "3 MB"]

    save_comparison(tmp_path / "out", compared, {})
    assert said in (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    three_columns = 3 * (64 + GAP) + GAP  # source, before, after
    assert read_picture(tmp_path / "out" / "grid.png").shape[1] in (three_columns, 3 * (128 + GAP) + GAP)


def test_who_fails_only_at_a_large_size_keeps_the_pictures_and_the_smaller_timing(photographs):
    compared = run(photographs[:2], {"it": Entry(FailWhenLarge())})
    assert len(compared.results["it"].pictures) == 2
    assert table(compared)[1][1:4] == ["0.0160", "failed", "failed"]
    assert failed(compared) == ["it failed: RuntimeError: too large"]


def test_an_unknown_metric_is_refused_before_anything_is_translated(photographs):
    with pytest.raises(UserError, match="metrics: 'beauty' is not one of psnr, ssim"):
        run(photographs, {"it": Entry(Raise())}, metrics=("ssim-source", "beauty"))


def test_a_column_has_its_interval_and_realism_its_reference_and_identity(tmp_path):
    random = np.random.default_rng(0)
    files = {}
    for side, shift in (("sources", 0), ("targets", 60), ("held_out", 60)):
        files[side] = [tmp_path / side / f"{i}.png" for i in range(6)]
        for path in files[side]:
            noise = random.integers(0, 120, size=(8, 8, 3)).repeat(5, axis=0).repeat(5, axis=1)
            write_picture(path, (noise + shift).astype(np.uint8))

    class Brighten:
        def translate(self, images):
            return images + 60 / 127.5

    entries = {"bright": Entry(Brighten()), "dark": Entry(Invert())}
    real = {"references": files["targets"], "held_out": files["held_out"]}
    compared = run(files["sources"], entries, metrics=("patch-swd", "edge-f1"), **real)
    realism = {row: numbers["patch-swd"] for row, numbers in compared.metrics.rows.items()}
    assert list(realism) == ["reference", "identity", "bright", "dark"]
    assert realism["bright"].value < realism["identity"].value
    assert realism["reference"].value < realism["identity"].value
    for number in realism.values():
        assert number.low <= number.value <= number.high
    (cells,) = (row for row in compared.metrics.table("realism") if row[0] == "bright")
    assert re.fullmatch(r"0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] \d+%", cells[1])
    save_comparison(tmp_path / "out", compared, {})
    assert "Does it look like the target?" in (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")
    assert "Does it look like the target?" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_an_interrupt_is_not_a_failure(photographs):
    class Interrupt:
        def translate(self, images):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photographs, {"it": Entry(Interrupt())})


def test_the_table_tells_costs_zeros_as_none_and_what_is_not_known(photographs):
    cost = Cost(
        parameters=11_378_179,
        training_images=2,
        training_hours=0.3333,
        style_images=1072,
        weights=("VGG-19", "other"),
    )
    entries = {
        "known": Entry(Identity(), cost),
        "none": Entry(Identity(), UNTRAINED),
        "nothing": Entry(Identity()),
    }
    rows = table(run(photographs, entries))
    assert rows[0] == [
        *("", "s per image, 16 px", "s per image, 32 px", "memory, 32 px"),
        *("parameters", "training images", "training hours", "style images", "pretrained weights"),
    ]
    assert rows[1] == [
        *("known", "0.0160", "0.0320", "3 MB"),
        *("11,378,179", "2", "0.333", "1,072", "VGG-19, other"),
    ]
    assert rows[2][4:9] == ["none"] * 5
    assert rows[3][4:9] == ["not known"] * 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e-5, "< 0.001"),
        (0.0123456, "0.0123"),
        (0.25, "0.250"),
        (7.891, "7.89"),
        (99.99, "100"),
        (1234.5, "1,234"),
    ],
)
def test_seconds_are_written_with_three_digits(photographs, monkeypatch, seconds, text):
    monkeypatch.setattr(comparing, "measure", lambda *_: Timing(seconds=seconds, runs=1, memory=None))
    row = table(run(photographs, {"it": Entry(Identity())}))[1]
    assert row[1:4] == [text, text, "not known"]


def test_nothing_need_be_timed(photographs):
    assert table(run(photographs, {"it": Entry(Identity())}, timed=()))[0][:2] == ["", "parameters"]


def test_the_json_file_says_all_that_was_measured(photographs, tmp_path):
    entries = {"it": Entry(Identity(), Cost(parameters=3, weights=("VGG-19",))), "broken": Entry(Raise())}
    compared = run(photographs, entries, metrics=("ssim-source",))
    save_comparison(tmp_path / "new" / "it", compared, {"commit": "abc"})
    written = json.loads((tmp_path / "new" / "it" / "compare.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(comparison_as_json(compared, {"commit": "abc"})))
    assert written["provenance"] == {"commit": "abc"}
    assert written["images"] == [str(path) for path in photographs]
    assert written["metrics"]["rows"]["it"]["ssim-source"]["value"] == pytest.approx(1)
    (measurement,) = written["metrics"]["measurements"].values()  # one for the column
    assert measurement["metric"].startswith("ssim-source: 8-bit RGB")
    assert measurement["translated"] == 3
    assert written["rows"]["it"] == {
        **{"parameters": 3, "training_images": None, "training_hours": None, "style_images": None},
        "weights": ["VGG-19"],
        "timings": {
            "16": {"seconds": 0.016, "runs": 5, "memory": 3_000_000},
            "32": {"seconds": 0.032, "runs": 5, "memory": 3_000_000},
        },
        "error": None,
    }
    assert written["rows"]["broken"]["error"] == "RuntimeError: out of memory"


def test_the_markdown_file_holds_the_table_and_the_grid(photographs, tmp_path):
    save_comparison(tmp_path / "mine", run(photographs, {"a|b": Entry(Identity(), UNTRAINED)}), {})
    lines = (tmp_path / "mine" / "compare.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# mine"
    assert lines[3].startswith("| --- | ---: |")
    assert lines[4] == r"| a\|b | 0.0160 | 0.0320 | 3 MB | none | none | none | none | none |"
    assert lines[-1] == "![Image grid](grid.png)"


def test_color_transfer_gives_the_sources_the_moments_of_the_style(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.png" for name in ("one", "other", "style")]
    for path, (low, high) in zip(paths, [(0, 200), (50, 250), (90, 160)], strict=True):
        write_picture(path, rng.integers(low, high, (40, 50, 3), dtype=np.uint8))
    transfer = color_transfer(paths[:2], paths[2:])
    moved, wanted = (
        color_moments(transfer.translate(read(path)) for path in paths[:2]),
        color_moments([read(paths[2])]),
    )
    assert torch.allclose(moved.mean, wanted.mean, atol=1e-5)
    assert torch.allclose(moved.covariance, wanted.covariance, atol=1e-4)


def test_images_are_those_of_files_and_folders_evenly_spaced(tmp_path):
    for i in range(9):
        write_picture(tmp_path / "many" / f"{i}.png", np.zeros((4, 4, 3), dtype=np.uint8))
    Image.new("RGB", (4, 4)).save(tmp_path / "alone.png")
    assert [p.stem for p in locate_images([tmp_path / "many"], 3)] == ["0", "4", "8"]
    assert [p.stem for p in locate_images([tmp_path / "alone.png", tmp_path / "many"])] == ["alone", *"012345678"]
    assert len(locate_images([tmp_path / "many"], 20)) == 9


def test_missing_images_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: does not exist; give image files or folders"):
        locate_images([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="no images there"):
        locate_images([tmp_path])
    with pytest.raises(UserError, match="datasets/unheard_of/testA: does not exist"):
        locate_images([Path("datasets/unheard_of/testA")])


def test_a_data_set_is_found_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path / "elsewhere"))
    for side in ("trainA", "trainB", "testA", "testB"):
        write_picture(tmp_path / "elsewhere" / "monet2photo" / side / "1.png", np.zeros((4, 4, 3), dtype=np.uint8))
    found = tmp_path / "elsewhere" / "monet2photo" / "testB" / "1.png"
    assert locate_images([Path("datasets/monet2photo/testB")]) == [found]
    assert locate_images([Path("datasets/monet2photo/testB/1.png")]) == [found]
    with pytest.raises(UserError, match=r"2\.png: does not exist"):
        locate_images([Path("datasets/monet2photo/testB/2.png")])


def test_a_data_set_that_is_nowhere_is_named_with_how_to_fetch_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cyclegan.data.cards.places", lambda card: [tmp_path / card.name])
    with pytest.raises(UserError, match="cyclegan data fetch"):
        locate_images([Path("datasets/monet2photo/testB")])
