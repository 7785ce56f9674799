"""Small networks really learn: on the embedded domain `tint` they beat the untouched photographs by far."""

import json

import pytest

from cyclegan.cli import main
from cyclegan.data.cards import DATASETS


def test_a_tiny_cyclegan_learns_a_change_of_colors_from_unpaired_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = DATASETS.parent / "experiments" / "cyclegan" / "photo2tint.yaml"
    assert main(["train", str(recipe), "--set", "training.steps=400"]) == 0

    report = json.loads((tmp_path / "runs/photo2tint/cyclegan/evaluation/evaluation.json").read_text())
    for direction in ("photo2tint", "tint2photo"):
        rows = report["tasks"][direction]["rows"]
        assert rows["cyclegan, step 400"]["psnr"]["value"] > rows["identity"]["psnr"]["value"] + 3


@pytest.mark.slow
def test_a_small_cut_learns_it_in_the_one_direction_that_it_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = DATASETS.parent / "experiments" / "cut" / "photo2painting.yaml"
    assert main(["train", str(recipe), "--set", "data.domain=photo2tint", "--set", "training.steps=400"]) == 0

    report = json.loads((tmp_path / "runs/photo2tint/cut/evaluation/evaluation.json").read_text())
    (rows,) = (direction["rows"] for direction in report["tasks"].values())
    assert rows["cut, step 400"]["psnr"]["value"] > rows["identity"]["psnr"]["value"] + 3
