"""Evaluation beside the truth, with images so simple that the scores are known."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from cyclegan.data.task import Task
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.evaluation.candidates import translate_file
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.images.rgb8 import write_picture

TRUTH = EvaluationOptions(metrics=["psnr", "ssim", "l1", "rmse"])


@dataclass(frozen=True)
class Add:
    levels: float

    def translate(self, images):
        return images + self.levels / 127.5


@dataclass(frozen=True)
class Spoil:
    """Adds one level inside, and ruins the border."""

    def translate(self, images):
        spoiled = torch.ones_like(images)
        spoiled[..., 8:-8, 8:-8] = images[..., 8:-8, 8:-8] + 1 / 127.5
        return spoiled


@pytest.fixture
def pairs(tmp_path) -> Task:
    """Four images that are their own truths."""
    rng = np.random.default_rng(0)
    paths = {side: [tmp_path / side / f"{i}.png" for i in range(4)] for side in ("testA", "testB")}
    for source, truth in zip(*paths.values(), strict=True):
        picture = rng.integers(20, 200, (32, 28, 3), dtype=np.uint8)
        write_picture(source, picture)
        write_picture(truth, picture)
    return Task(name="a2b", to="b", sources=paths["testA"], truths=paths["testB"])


def test_scores_are_those_of_the_metrics_and_rows_keep_their_order(pairs):
    results = evaluate({"ten": Add(10), "one": Add(1)}, pairs, TRUTH)
    assert list(results.rows) == ["identity", "ten", "one", "best per-pixel map*", "best linear 7×7*"]
    one = results.rows["one"]["psnr"]
    assert (one.value, one.low, one.high) == pytest.approx((48.1308,) * 3, abs=1e-4)
    ten = results.rows["ten"]
    assert ten["psnr"].value == pytest.approx(28.1308, abs=1e-4)
    assert ten["l1"].value == ten["rmse"].value == pytest.approx(10 / 255)
    assert ten["ssim"].per_image.shape == (4,)


def test_differences_are_to_the_baseline_image_by_image(pairs):
    results = evaluate({"ten": Add(10), "one": Add(1)}, pairs, TRUTH)
    assert results.baseline == "identity"
    assert results.difference("ten", "l1") == pytest.approx((10 / 255,) * 3)
    assert results.difference("identity", "psnr") == (0, 0, 0)


def test_everything_that_a_score_depends_on_is_in_its_id(pairs):
    ids = [
        evaluate({"one": Add(1)}, pairs._replace(**change), TRUTH).rows["one"]["psnr"].measurement.id
        for change in ({}, {}, {"border": 3}, {"sources": pairs.sources[:2], "truths": pairs.truths[:2]})
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_the_border_is_translated_but_not_scored(pairs):
    inside, beyond = (
        evaluate({"spoil": Spoil()}, pairs._replace(border=border), TRUTH).rows["spoil"]["psnr"].value
        for border in (8, 7)
    )
    assert inside == pytest.approx(48.1308, abs=1e-4)
    assert beyond < 20


def test_the_truth_is_compared_at_full_size_and_the_source_at_the_reduced_one(pairs):
    options = EvaluationOptions(metrics=["l1", "ssim-source"], size=16)
    results = evaluate({"one": Add(1)}, pairs, options)
    assert results.rows["one"]["l1"].value == pytest.approx(1 / 255)
    assert {picture.shape for picture in results.pictures["one"]} == {(16, 14, 3)}


def test_finished_translations_are_scored_beside_the_truth_as_translators_are(pairs):
    finished = {path: translate_file(Add(10), path) for path in pairs.sources}
    results = evaluate({"it": finished, "them": dict(zip(pairs.sources, pairs.sources, strict=True))}, pairs, TRUTH)
    assert results.rows["it"]["psnr"].value == pytest.approx(28.1308, abs=1e-4)
    assert results.rows["them"]["l1"].value == 0  # read from files


def test_finished_translations_of_another_size_than_the_truth_are_named_and_the_rest_is_scored(pairs):
    small = {path: translate_file(Add(10), path)[::2, ::2] for path in pairs.sources}
    results = evaluate({"small": small}, pairs, EvaluationOptions(metrics=["l1", "ssim-source"], size=16))
    assert set(results.rows["small"]) == {"ssim-source"}
    assert results.rows["identity"]["l1"].value == 0
    (line,) = results.not_run_lines()
    assert line.startswith("Not run: l1: small: ")
    assert "28×32" in line
    assert "14×16" in line


def test_translations_are_rounded_to_8_bits_and_clipped(pairs):
    source = pairs.sources[0]
    assert np.array_equal(translate_file(Add(0.4), source), translate_file(Add(0), source))
    assert translate_file(Add(300), source).min() == 255


def test_no_gradient_is_kept(pairs):
    weight = torch.ones((), requires_grad=True)

    @dataclass(frozen=True)
    class Watched:
        def translate(self, images):
            product = images * weight
            assert not product.requires_grad
            return product

    translate_file(Watched(), pairs.sources[0])


def test_a_translation_that_is_not_finite_is_refused(pairs):
    with pytest.raises(NotFiniteError, match=r"0\.png"):
        translate_file(Add(float("nan")), pairs.sources[0])


def test_images_without_partner_are_named(pairs):
    for change, said in (
        ({"truths": pairs.truths[:-1]}, "see 3"),
        ({"truths": pairs.truths[::-1]}, "their order"),
        ({"sources": [], "truths": []}, "no test images"),
    ):
        with pytest.raises(UserError, match=said):
            evaluate({"one": Add(1)}, pairs._replace(**change), TRUTH)


def test_a_pair_of_two_sizes_and_a_border_that_leaves_too_little_are_named(pairs):
    with pytest.raises(UserError, match=r"0\.png: 28×32 leaves less than 11 pixels inside a border of 9"):
        evaluate({"one": Add(1)}, pairs._replace(border=9), TRUTH)
    write_picture(pairs.truths[1], np.zeros((20, 20, 3), dtype=np.uint8))
    with pytest.raises(UserError, match=r"1\.png: 20×20, but its source is 28×32"):
        evaluate({"one": Add(1)}, pairs, TRUTH)
