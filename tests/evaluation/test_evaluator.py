"""Evaluator: every number has the id of its measurement, metrics that are not run are named, unlike numbers
are refused in one column, and every kind of candidate is scored like the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.evaluation.measurement_id import Measurement, Number, digest, require_comparable
from cyclegan.evaluation.results import IDENTITY, REFERENCE
from cyclegan.images.rgb8 import write_picture
from cyclegan.metrics import extractors
from cyclegan.metrics.table import METRICS, WITHOUT_WEIGHTS
from cyclegan.networks.dinov2 import DINOv2, load_dinov2
from cyclegan.protocols import Images


def pictures(count: int, seed: int, high: int = 256) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, high, size=(count, 8, 8, 3), dtype=np.uint8)
    return [p.repeat(5, axis=0).repeat(5, axis=1) for p in coarse]


SOURCES, TARGETS = pictures(6, 0), pictures(7, 1, high=128)
DARKER = [source // 2 for source in SOURCES]


@pytest.fixture
def write(tmp_path) -> Callable[..., list[Path]]:
    """Writes images as files."""

    def write_all(folder: str, images: list[np.ndarray]) -> list[Path]:
        paths = [tmp_path / folder / f"{i}.png" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            write_picture(path, image)
        return paths

    return write_all


@pytest.fixture
def task(write) -> Task:
    return Task(name="a2b", to="b", sources=write("a", SOURCES), references=write("b", TARGETS))


def only(*names: str) -> EvaluationOptions:
    return EvaluationOptions(metrics=names)


def darker(task: Task) -> dict:
    return dict(zip(task.sources, DARKER, strict=True))


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    for name in ("CYCLEGAN_WEIGHTS", "TORCH_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("went to the network"))


@pytest.mark.usefixtures("no_weights")
def test_without_weights_the_rest_is_measured_and_the_missing_is_named(task):
    results = evaluate({"darker": darker(task)}, task)
    of_truth = {name for name, metric in METRICS.items() if metric.needs == "truth"}
    assert set(results.metrics) == set(WITHOUT_WEIGHTS) - of_truth
    assert set(results.not_run) == set(METRICS) - set(WITHOUT_WEIGHTS)
    for metric, weights in (
        ("kid-inception", "inception"),
        ("recall-dinov2", "dinov2"),
        ("lpips-vgg", "vgg16"),
    ):
        assert f"the weights '{weights}' are not on this machine" in results.not_run[metric]
    assert any("kid-inception, fid-inception" in line and "--fetch" in line for line in results.not_run_lines())
    assert not any(name.startswith("kid") for name in results.rows["darker"])  # nothing takes its place


def test_dinov2_and_vgg16_fill_their_own_columns_which_name_the_weights(task, provide, monkeypatch):
    """Random weights: the columns are tested, and that the network of one is not that of another."""
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
    results = evaluate({"darker": darker(task)}, task, only(*names, "lpips-vgg"))
    found = results.rows["darker"]
    assert [results.metrics[name].title for name in names] == [
        f"{metric}, dinov2 ViT-L/14" for metric in ("KID", "FID", "precision", "recall")
    ]
    assert results.metrics["lpips-vgg"].title == "LPIPS to source, VGG-16"
    assert {found[name].measurement.extractor for name in names} == {hashes["dinov2"]}
    assert found["lpips-vgg"].measurement.extractor == hashes["lpips-vgg"]
    assert found["lpips-vgg"].measurement.metric.startswith("lpips-vgg: LPIPS 0.1 with VGG-16,")
    assert found["lpips-vgg"].per_image.shape == (6,)
    assert results.rows[IDENTITY]["lpips-vgg"].value == 0
    assert not results.not_run


def test_without_references_neither_realism_nor_copying_is_measured(task):
    results = evaluate({}, task._replace(references=()), only(*WITHOUT_WEIGHTS))
    assert {metric.table for metric in results.metrics.values()} == {"content", "failure modes"}
    assert "copying" not in results.metrics
    assert "copying" in evaluate({}, task, only(*WITHOUT_WEIGHTS)).metrics


def test_copies_are_looked_for_among_training_images_where_they_are_known(task, write):
    trained = write("trained", DARKER)
    known = task._replace(fit=((), trained))
    for each, share in ((task, 0), (known, 1)):
        assert evaluate({"darker": darker(task)}, each, only("copying")).rows["darker"]["copying"].value == share


def test_a_number_knows_what_it_was_measured_on(task):
    numbers = evaluate({"darker": darker(task)}, task, only("patch-swd", "ssim-source")).rows["darker"]
    measurement = numbers["patch-swd"].measurement
    assert (measurement.translated, measurement.reference) == (6, 7)
    assert measurement.sources == digest(SOURCES)
    assert measurement.references == digest(TARGETS)
    assert numbers["ssim-source"].measurement.references == "none"  # it needs the sources only
    assert numbers["ssim-source"].per_image.mean() == pytest.approx(numbers["ssim-source"].value)


def test_any_difference_of_measurements_is_another_id_and_refused_in_one_column():
    one = Measurement(metric="kid", translated=10, sources="a", reference=20, references="b")
    changes = {
        "metric": "fid",
        "translated": 9,
        "sources": "c",
        "extractor": "vgg",
        "resize": "x",
        "border": 8,
        "seed": 1,
        "images": "JPEG",
        "code": "2",
    }
    for key, value in changes.items():
        other = replace(one, **{key: value})
        assert other.id != one.id
        with pytest.raises(UserError, match=rf"kid: \w{{10}} and \w{{10}} differ in {key};"):
            require_comparable("kid", [Number(value=1.0, measurement=one), Number(value=1.0, measurement=other)])
    require_comparable("kid", [Number(value=1.0, measurement=one), Number(value=2.0, measurement=replace(one))])


@dataclass(frozen=True)
class Crop:
    def translate(self, images: Images) -> Images:
        return images[..., :20]


def test_translations_of_another_number_or_size_are_refused(task):
    few = dict(list(darker(task).items())[:-1])
    with pytest.raises(UserError, match=r"few: 1 of 6 sources have no translation there, 5\.png for one"):
        evaluate({"few": few}, task, only("ssim-source"))
    with pytest.raises(UserError, match="20×40 and 40×40 pixels"):
        evaluate({"it": {path: image[:, :20] for path, image in darker(task).items()}}, task, only("ssim-source"))
    with pytest.raises(UserError, match=r"0\.png: 40×40, but its translation has the shape \(1, 3, 40, 20\)"):
        evaluate({"it": Crop()}, task, only("ssim-source"))


def test_an_unknown_metric_is_refused_by_name(task):
    with pytest.raises(UserError, match="metrics: 'beauty' is not one of psnr, ssim, l1"):
        evaluate({}, task, only("beauty"))


def test_reference_and_identity_stand_above_the_candidates_and_the_share_of_the_distance_is_told(task):
    task = task._replace(held_out=task.references[:3])
    results = evaluate({"darker": darker(task)}, task, only("patch-swd", "ms-ssim"))
    assert list(results.rows) == [REFERENCE, IDENTITY, "darker"]
    assert set(results.rows[REFERENCE]) == {"patch-swd"}  # they are no translations: no content to keep
    swd = {row: numbers["patch-swd"].value for row, numbers in results.rows.items()}
    share = (swd[IDENTITY] - swd["darker"]) / (swd[IDENTITY] - swd[REFERENCE])
    assert results.table("realism")[-1][1].endswith(f"{share:.0%}")
    assert results.table("content")[1][0] == IDENTITY
    assert results.table("optimized") == []


def test_baselines_are_fitted_where_there_are_training_images_of_both_sides(task, write):
    fit = (write("trainA", pictures(3, 2)), write("trainB", pictures(3, 3, high=100)))
    results = evaluate({"darker": darker(task)}, task._replace(fit=fit), only("ssim-source"))
    assert list(results.rows) == [IDENTITY, "Monge-Kantorovich", "median + Monge-Kantorovich", "darker"]
    assert results.baseline == "median + Monge-Kantorovich"
    assert set(results.failures) == {"darker"}  # failure modes of baselines are not told


def test_a_translator_that_leaves_images_as_they_are_is_the_identity_row(task):
    results = evaluate({"it": dict(zip(task.sources, SOURCES, strict=True))}, task, only(*WITHOUT_WEIGHTS))
    for name, number in results.rows["it"].items():
        assert number.value == results.rows[IDENTITY][name].value
    assert list(results.failures["it"]) == ["identity"]


def test_the_best_and_worst_are_the_images_that_keep_most_and_least(task):
    translations = [255 - SOURCES[0], *SOURCES[1:5], SOURCES[5] // 2]
    results = evaluate({"it": dict(zip(task.sources, translations, strict=True))}, task, only("ms-ssim"))
    by, best, worst = results.best_and_worst("it", 2)
    assert by == "MS-SSIM to source"
    assert worst == [0, 5]
    assert not {0, 5} & set(best)


@dataclass(frozen=True)
class MeanColor:
    """Stands for a method that stylizes: images take the mean color of their examples."""

    examples_are = "mixed"
    pretrained = {}  # noqa: RUF012

    def bind(self, *examples, weights=None, masks=None):
        return Paint(torch.stack([example.mean(dim=(2, 3)) for example in examples]).mean(dim=0)[..., None, None])


@dataclass(frozen=True)
class Paint:
    color: torch.Tensor

    def translate(self, images: Images) -> Images:
        return self.color.expand_as(images)


def test_a_method_that_stylizes_is_bound_to_the_examples_of_each_source_and_scored_like_the_others(task, write):
    styles = write("styles", [np.full((9, 7, 3), level, np.uint8) for level in (0, 50, 100, 150, 200, 250)])
    results = evaluate({"it": MeanColor()}, task._replace(examples=[[style] for style in styles]), only("change"))
    assert [int(picture.mean()) for picture in results.pictures["it"]] == [0, 50, 100, 150, 200, 250]
    assert results.rows["it"]["change"].value > 0
    both = evaluate({"it": MeanColor()}, task._replace(examples=[styles[:3]] * 6), only("change"))
    assert {int(picture.mean()) for picture in both.pictures["it"]} == {50}
    with pytest.raises(UserError, match="it: needs style images, and a2b has none"):
        evaluate({"it": MeanColor()}, task, only("change"))


def test_only_so_many_images_are_scored_evenly_spaced(task):
    results = evaluate({"darker": darker(task)}, task, EvaluationOptions(metrics=["change"], limit=3))
    assert results.captions == ["0", "2", "5"]
    assert len(results.pictures["darker"]) == 3
