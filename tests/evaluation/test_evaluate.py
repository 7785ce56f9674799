"""Evaluation against known truths, with pictures so simple that the scores are known."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from cyclegan.errors import NotFiniteError, UserError
from cyclegan.evaluation.evaluate import METRICS, evaluate, translate_file
from cyclegan.pictures import write_picture


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
def pairs(tmp_path):
    """Four pictures that are their own truths."""
    rng = np.random.default_rng(0)
    paths = {side: [tmp_path / side / f"{i}.png" for i in range(4)] for side in ("testA", "testB")}
    for source, truth in zip(*paths.values(), strict=True):
        picture = rng.integers(20, 200, (32, 28, 3), dtype=np.uint8)
        write_picture(source, picture)
        write_picture(truth, picture)
    return paths["testA"], paths["testB"]


def test_scores_are_those_of_the_metrics_and_rows_keep_their_order(pairs):
    evaluation = evaluate({"ten": Add(10), "one": Add(1)}, *pairs, margin=0, reference="one")
    assert list(evaluation.rows) == ["ten", "one"]
    assert evaluation.rows["one"].estimates["psnr"] == pytest.approx((48.1308,) * 3, abs=1e-4)
    assert evaluation.rows["ten"].estimates["psnr"].mean == pytest.approx(28.1308, abs=1e-4)
    assert set(evaluation.rows["ten"].estimates) == set(METRICS)
    assert evaluation.rows["ten"].values["ssim"].shape == (4,)


def test_differences_are_to_the_reference_image_by_image(pairs):
    rows = evaluate({"ten": Add(10), "one": Add(1)}, *pairs, margin=0, reference="one").rows
    assert rows["ten"].differences["psnr"] == pytest.approx((-20.0,) * 3, abs=1e-4)
    assert rows["one"].differences["psnr"] == (0, 0, 0)


def test_what_was_scored_is_written_down(pairs):
    evaluation = evaluate({"one": Add(1)}, *pairs, margin=3, reference="one")
    assert (evaluation.split, evaluation.margin, evaluation.reference) == ("testA → testB", 3, "one")
    assert evaluation.images == ("0.png", "1.png", "2.png", "3.png")


def test_the_margin_is_translated_but_not_scored(pairs):
    inside = evaluate({"spoil": Spoil()}, *pairs, margin=8, reference="spoil").rows["spoil"]
    beyond = evaluate({"spoil": Spoil()}, *pairs, margin=7, reference="spoil").rows["spoil"]
    assert inside.estimates["psnr"].mean == pytest.approx(48.1308, abs=1e-4)
    assert beyond.estimates["psnr"].mean < 20


def test_translations_are_rounded_to_8_bits_and_clipped(pairs):
    source = pairs[0][0]
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

    translate_file(Watched(), pairs[0][0])


def test_a_translation_that_is_not_finite_is_refused(pairs):
    with pytest.raises(NotFiniteError, match=r"0\.png"):
        translate_file(Add(float("nan")), pairs[0][0])


def test_pictures_without_partner_are_named(pairs):
    sources, truths = pairs
    with pytest.raises(UserError, match="see 3"):
        evaluate({"one": Add(1)}, sources, truths[:-1], margin=0, reference="one")
    with pytest.raises(UserError, match="no test images"):
        evaluate({"one": Add(1)}, [], [], margin=0, reference="one")
    with pytest.raises(UserError, match="their order"):
        evaluate({"one": Add(1)}, sources, truths[::-1], margin=0, reference="one")


def test_a_pair_of_two_sizes_and_a_margin_that_leaves_too_little_are_named(pairs):
    sources, truths = pairs
    with pytest.raises(UserError, match=r"0\.png: 28×32 leaves less than 11 pixels inside a margin of 9"):
        evaluate({"one": Add(1)}, sources, truths, margin=9, reference="one")
    write_picture(truths[1], np.zeros((20, 20, 3), dtype=np.uint8))
    with pytest.raises(UserError, match=r"1\.png: 20×20, but its source is 28×32"):
        evaluate({"one": Add(1)}, sources, truths, margin=0, reference="one")
