"""The suite: every number has its protocol, what cannot be measured is named, and unlike numbers do not meet."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from cyclegan.errors import UserError
from cyclegan.evaluation.assessment import CEILING, FLOOR, assess
from cyclegan.evaluation.protocol import Number, Protocol, digest, require_comparable
from cyclegan.evaluation.suite import NAMES, WITHOUT_WEIGHTS, Suite
from cyclegan.metrics import extractors
from cyclegan.networks.dinov2 import DINOv2, load_dinov2


def pictures(count: int, seed: int, high: int = 256) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, high, size=(count, 8, 8, 3), dtype=np.uint8)
    return [p.repeat(5, axis=0).repeat(5, axis=1) for p in coarse]


SOURCES, TARGETS = pictures(6, 0), pictures(7, 1, high=128)
DARKER = [source // 2 for source in SOURCES]


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    for name in ("CYCLEGAN_WEIGHTS", "TORCH_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("went to the network"))


@pytest.mark.usefixtures("no_weights")
def test_without_weights_the_rest_is_measured_and_the_missing_is_named():
    suite = Suite(SOURCES, TARGETS, TARGETS)
    assert set(suite.columns) == set(WITHOUT_WEIGHTS)
    assert set(suite.not_run) == set(NAMES) - set(WITHOUT_WEIGHTS)
    for metric, weights in (("kid-inception", "inception"), ("recall-dinov2", "dinov2"), ("lpips-vgg", "vgg16")):
        assert f"the weights '{weights}' are not on this machine" in suite.not_run[metric]
    assessment = assess(suite, {"darker": DARKER})
    assert any("kid-inception, fid-inception" in said and "--fetch" in said for said in assessment.gaps())
    assert not any(name.startswith("kid") for name in assessment.rows["darker"])  # nothing takes its place


def test_dinov2_and_vgg16_fill_their_own_columns_which_name_the_weights(provide, monkeypatch):
    """Random weights: what is tested are the columns, and that the network of one is not that of another."""
    size = {"width": 48, "depth": 1, "heads": 3, "grid": 5}
    torch.manual_seed(0)
    vgg16 = make_layers(cfgs["D"]).state_dict()
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    trunk = provide("vgg16", {f"features.{name}": tensor for name, tensor in vgg16.items()})
    hashes = {
        "lpips-vgg": f"{trunk[:12]}+{provide('lpips_vgg', heads)[:12]}",
        "dinov2": f"dinov2 ViT-L/14 {provide('dinov2', DINOv2(**size).state_dict())[:12]}",
    }
    monkeypatch.setattr(extractors, "load_dinov2", lambda: load_dinov2(**size))
    names = [f"{metric}-dinov2" for metric in ("kid", "fid", "precision", "recall")]
    suite = Suite(SOURCES, TARGETS, only=[*names, "lpips-vgg"])
    found = suite.measure(DARKER)
    assert [suite.columns[name].title for name in names] == [
        f"{metric}, dinov2 ViT-L/14" for metric in ("KID", "FID", "precision", "recall")
    ]
    assert suite.columns["lpips-vgg"].title == "LPIPS to source, VGG-16"
    assert {found[name].protocol.extractor for name in names} == {hashes["dinov2"]}
    assert found["lpips-vgg"].protocol.extractor == hashes["lpips-vgg"]
    assert found["lpips-vgg"].protocol.metric.startswith("lpips-vgg: LPIPS 0.1 with VGG-16,")
    assert found["lpips-vgg"].per_image.shape == (6,)
    assert suite.measure(SOURCES)["lpips-vgg"].value == 0
    assert not suite.not_run


def test_without_targets_realism_is_not_asked_and_without_training_targets_copying_is_not():
    suite = Suite(SOURCES, only=WITHOUT_WEIGHTS)
    assert {column.question for column in suite.columns.values()} == {"content", "symptoms"}
    assert "copying" not in suite.columns
    assert "copying" in Suite(SOURCES, TARGETS, TARGETS, only=WITHOUT_WEIGHTS).columns


def test_a_number_knows_what_it_was_measured_on():
    numbers = Suite(SOURCES, TARGETS, only=["patch-swd", "ssim"]).measure(DARKER)
    protocol = numbers["patch-swd"].protocol
    assert (protocol.translated, protocol.reference) == (6, 7)
    assert protocol.sources == digest(SOURCES)
    assert protocol.references == digest(TARGETS)
    assert numbers["ssim"].protocol.references == "none"  # it looks at the sources only
    assert numbers["ssim"].per_image.mean() == pytest.approx(numbers["ssim"].value)


def test_any_difference_of_protocols_is_another_id_and_refused_in_one_column():
    one = Protocol(metric="kid", translated=10, sources="a", reference=20, references="b")
    changes = dict(
        metric="fid", translated=9, sources="c", extractor="vgg", resize="x", seed=1, images="JPEG", code="2"
    )
    for key, value in changes.items():
        other = replace(one, **{key: value})
        assert other.id != one.id
        with pytest.raises(UserError, match=rf"kid: \w{{10}} and \w{{10}} differ in {key};"):
            require_comparable("kid", [Number(value=1.0, protocol=one), Number(value=1.0, protocol=other)])
    require_comparable("kid", [Number(value=1.0, protocol=one), Number(value=2.0, protocol=replace(one))])


def test_translations_of_another_number_or_size_are_refused():
    suite = Suite(SOURCES, only=["ssim"])
    with pytest.raises(ValueError, match="zip"):
        suite.measure(DARKER[:-1])
    with pytest.raises(UserError, match="a translation of 20×40 for 40×40 pixels"):
        suite.measure([picture[:, :20] for picture in DARKER])


def test_an_unknown_metric_is_refused_by_name():
    with pytest.raises(UserError, match="metrics: 'beauty' is not one of patch-swd"):
        Suite(SOURCES, only=["beauty"])


def test_floor_and_ceiling_stand_above_the_candidates_and_the_way_is_told():
    suite = Suite(SOURCES, TARGETS, only=["patch-swd", "ms-ssim"])
    assessment = assess(suite, {"darker": DARKER}, TARGETS[:3])
    assert list(assessment.rows) == [FLOOR, CEILING, "darker"]
    assert set(assessment.rows[FLOOR]) == {"patch-swd"}  # they are no translations: no content to keep
    swd = {row: numbers["patch-swd"].value for row, numbers in assessment.rows.items()}
    way = (swd[CEILING] - swd["darker"]) / (swd[CEILING] - swd[FLOOR])
    assert assessment.table("realism")[-1][1].endswith(f"{way:.0%}")
    assert assessment.table("content")[1][0] == CEILING
    assert assessment.table("optimized") == []


def test_a_translator_that_does_nothing_is_the_ceiling():
    suite = Suite(SOURCES, TARGETS, only=WITHOUT_WEIGHTS)
    assessment = assess(suite, {"identity": SOURCES})
    for name, number in assessment.rows["identity"].items():
        assert number.value == assessment.rows[CEILING][name].value
    assert list(assessment.alarms["identity"]) == ["identity"]


def test_the_extremes_are_the_images_that_kept_least_and_most():
    translations = [255 - SOURCES[0], *SOURCES[1:5], SOURCES[5] // 2]
    by, worst, best = assess(Suite(SOURCES, only=["ms-ssim"]), {"it": translations}).extremes("it", 2)
    assert by == "MS-SSIM to source"
    assert worst == [0, 5]
    assert not {0, 5} & set(best)
