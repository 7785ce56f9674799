"""A small CycleGAN really learns: on the embedded domain `tint` it beats the untouched photographs by far."""

import json

from cyclegan.cli import main
from cyclegan.data.cards import DATASETS


def test_a_tiny_cyclegan_learns_a_change_of_colors_from_unpaired_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = DATASETS.parent / "experiments" / "cyclegan" / "photo2tint.yaml"
    assert main(["train", str(recipe), "--set", "training.steps=400"]) == 0

    report = json.loads((tmp_path / "runs/photo2tint/cyclegan/evaluation/evaluation.json").read_text())
    for direction in ("photo2tint", "tint2photo"):
        rows = report["directions"][direction]["rows"]
        assert rows["cyclegan, step 400"]["psnr"]["mean"] > rows["identity"]["psnr"]["mean"] + 3
