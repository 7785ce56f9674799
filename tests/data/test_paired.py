"""Paired data: the same pair, crop and flip for X and Y, from folders, combined images, or a domain that has pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.data import cards
from cyclegan.data.data_config import PairedConfig
from cyclegan.data.dataset import open_dataset
from cyclegan.data.splits import find_splits
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import BadPictureError, read_picture, write_picture

SIZE, CROP = 12, 8


def places(red: int, width: int = SIZE) -> np.ndarray:
    """Red is the number of the image, green the row, blue the column."""
    rows, columns = np.mgrid[:SIZE, :width]
    return np.stack([np.full_like(rows, red), rows, columns], axis=-1).astype(np.uint8)


def fill(folder: Path, names: list[str]) -> Path:
    for i, name in enumerate(names):
        write_picture(folder / name, places(i))
    return folder


def config(**settings: Any) -> PairedConfig:
    return PairedConfig(**{"load_size": None, "crop_size": CROP, "workers": 1, **settings})


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> dict[str, Path]:
    """Two folders of ten images; those of one name are the same, but for the suffix."""
    root = tmp_path_factory.mktemp("pairs")
    names = [f"{i}.png" for i in range(10)]
    return {
        "x": fill(root / "label", names),
        "y": fill(root / "facade", [name.replace("png", "bmp") for name in names]),
    }


def stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**33), step=st.integers(0, 200))
def test_an_image_paired_with_itself_stays_identical(pairs, seed, step):
    batch = open_dataset(config(**pairs, batch_size=2), seed).stream.batch_at(step)
    assert torch.equal(batch.x, batch.y)
    assert batch.x.shape == (2, 3, CROP, CROP)


def test_crops_and_flips_are_random_and_every_pass_shows_each_pair_once(pairs):
    dataset = open_dataset(config(**pairs), seed=0)
    crops = [dataset.stream.batch_at(step).x[0] for step in range(4 * dataset.counts["label"])]
    flipped = {bool(crop[2, 0, 0] > crop[2, 0, -1]) for crop in crops}
    tops = {round(float(crop[1, 0, 0] + 1) * 127.5) for crop in crops}
    assert (flipped, len(tops)) == ({True, False}, SIZE - CROP + 1)
    shown = [float(crop[0, 0, 0]) for crop in crops]
    for start in range(0, len(shown), dataset.counts["label"]):
        assert len(set(shown[start : start + dataset.counts["label"]])) == dataset.counts["label"]


def test_folders_are_matched_by_name_without_suffix_in_all_splits(pairs):
    splits = find_splits(config(**pairs, validation=0.3))
    for split in ("train", "test", "validation"):
        x, y = getattr(splits.x, split), getattr(splits.y, split)
        assert stems(x) == stems(y)
        assert x
    together = [path for split in ("train", "test", "validation") for path in getattr(splits.x, split)]
    assert sorted(stems(together)) == sorted(str(i) for i in range(10))
    assert splits.domain == "label2facade"


def test_tasks_of_both_directions_have_the_truth(pairs):
    there, back = open_dataset(config(**pairs, validation=0.3), seed=0).tasks("validation")
    assert (there.name, there.to, back.name, back.to) == ("label2facade", "facade", "facade2label", "label")
    assert stems(there.sources) == stems(there.truths) == stems(back.truths)


@pytest.mark.parametrize("split", ["train", "test", "validation"])
def test_held_out_pairs_belong_together(pairs, split):
    batch = open_dataset(config(**pairs, validation=0.3), seed=0).held_out(split)
    assert torch.equal(batch.x, batch.y)


@pytest.mark.parametrize(("side", "alone"), [("x", "10"), ("y", "deep/11")])
def test_images_without_a_partner_are_refused_by_name(tmp_path, side, alone):
    folders = {side: fill(tmp_path / side, [f"{i}.png" for i in range(4)]) for side in "xy"}
    fill(folders[side], [f"{alone}.png"])
    said = f"x and {folders['y']}: 1 images have no partner of the same name, {alone} for one"
    with pytest.raises(UserError, match=said):
        find_splits(config(**folders))


def test_two_images_of_one_name_are_refused(tmp_path):
    folders = {side: fill(tmp_path / side, ["a.png", "b.png", "c.png"]) for side in "xy"}
    fill(folders["y"], ["b.bmp"])
    with pytest.raises(UserError, match=r"b\.png: has the name of b\.bmp, and pairs are matched by name; rename one"):
        find_splits(config(**folders))


def test_pairs_of_two_sizes_are_refused_with_both_files(tmp_path):
    folders = {side: fill(tmp_path / side, ["a.png", "b.png"]) for side in "xy"}
    for name in ("a.png", "b.png"):
        write_picture(folders["y"] / name, places(0, width=16))
    with pytest.raises(UserError, match=r"x/.\.png and .*y/.\.png: differ in shape.*set data.resize to square"):
        open_dataset(config(**folders), seed=0).stream.batch_at(0)
    assert open_dataset(config(**folders, load_size=10), seed=0).stream.batch_at(0).y.shape[2:] == (CROP, CROP)


def test_a_bad_image_takes_its_partner_with_it(tmp_path):
    folders = {side: fill(tmp_path / side, [f"{i}.png" for i in range(8)]) for side in "xy"}
    (folders["y"] / "3.png").write_bytes(b"no picture")
    splits = find_splits(config(**folders, on_bad_image="skip", max_bad_fraction=0.5))
    assert stems([*splits.x.train, *splits.x.test]) == stems([*splits.y.train, *splits.y.test])
    assert "3" not in stems([*splits.x.train, *splits.x.test])


# Combined images


def combined(folder: Path, *names: str) -> Path:
    """Images A|B: A has the number of the image in red, B a red of 200 more."""
    for i, name in enumerate(names):
        write_picture(folder / name, np.concatenate([places(i), places(200 + i)], axis=1))
    return folder


@pytest.mark.parametrize(("direction", "names"), [("a2b", ("a", "b")), ("b2a", ("b", "a"))])
def test_combined_images_are_cut_in_the_middle_in_both_directions(tmp_path, direction, names):
    folder = combined(tmp_path / "maps", "train/1.png", "val/1.png", "test/1.png", "test/2.png")
    dataset = open_dataset(config(combined=folder, direction=direction), seed=0)
    assert tuple(dataset.spec.names.values()) == names
    assert dataset.name == f"maps-{direction}"
    assert (len(dataset.splits.x.train), len(dataset.splits.x.test)) == (2, 2)
    for path_x, path_y in zip(dataset.splits.x.test, dataset.splits.y.test, strict=True):
        left, right = (path_x, path_y) if direction == "a2b" else (path_y, path_x)
        assert np.array_equal(read_picture(left)[..., 1:], read_picture(right)[..., 1:])
        assert (read_picture(right)[..., 0] == read_picture(left)[..., 0] + 200).all()


def test_combined_images_without_folders_are_split_by_hash(tmp_path):
    folder = combined(tmp_path / "maps", *(f"{i}.png" for i in range(8)))
    splits = find_splits(config(combined=folder))
    assert (len(splits.x.train), len(splits.x.test)) == (6, 2)
    assert stems(splits.x.train) == stems(splits.y.train)


def test_an_odd_width_is_refused_and_nothing_is_left_behind(tmp_path):
    folder = combined(tmp_path / "maps", "1.png")
    write_picture(folder / "2.png", places(0, width=13))
    with pytest.raises(BadPictureError, match=r"2\.png: is 13 px wide, which are not two halves"):
        find_splits(config(combined=folder))
    assert [path.name for path in tmp_path.iterdir()] == ["maps"]


def test_halves_are_cut_once_and_those_of_other_images_are_refused(tmp_path):
    folder = combined(tmp_path / "maps", *(f"{i}.png" for i in range(8)))
    find_splits(config(combined=folder))
    halves = tmp_path / "maps-halves"
    before = {path: path.stat().st_mtime_ns for path in halves.rglob("*.png")}
    find_splits(config(combined=folder))
    assert {path: path.stat().st_mtime_ns for path in halves.rglob("*.png")} == before
    combined(folder, "new.png")
    with pytest.raises(UserError, match=r"maps-halves: does not hold the halves of .*maps; remove it"):
        find_splits(config(combined=folder))


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({}, "domain: give either a domain or both folders"),
        ({"x": Path("a")}, "domain: give either a domain or both folders"),
        ({"combined": Path("a"), "domain": "label2facade"}, "combined: give either this"),
        ({"combined": Path("a"), "x": Path("b"), "y": Path("c")}, "combined: give either this"),
    ],
)
def test_pairs_come_from_one_place(places, said):
    with pytest.raises(ValueError, match=said):
        config(**places)


# Domains


@pytest.fixture
def domain(tmp_path, monkeypatch):
    """Data of a card of labels and facades, of four training pairs and two test pairs."""

    def make(paired: bool) -> str:
        (tmp_path / "facades.yaml").write_text(
            "name: facades\ntitle: t\nlicense: l\nsource: s\nsides: {A: facade, B: label}\n"
            f"counts: {{trainA: 4, trainB: 4, testA: 2, testB: 2}}\npaired: {str(paired).lower()}\npaired_test: true\n"
            f"archive: {{urls: ['https://x/y.zip'], bytes: 1, sha256: {'0' * 64}}}\n"
        )
        for part, count in (("train", 4), ("test", 2)):
            for side in "AB":
                fill(tmp_path / "facades" / f"{part}{side}", [f"{i}_{side}.png" for i in range(count)])
        monkeypatch.setattr(cards, "DATASETS", tmp_path)
        monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path))
        return "label2facade"

    return make


def test_a_domain_whose_card_has_pairs_is_learned_from_by_pairs(domain):
    dataset = open_dataset(config(domain=domain(paired=True), batch_size=4), seed=0)
    batch = dataset.stream.batch_at(0)
    assert torch.equal(batch.x, batch.y)
    assert [path.name for path in dataset.splits.x.train] == [f"{i}_B.png" for i in range(4)]
    assert stems(dataset.tasks()[0].truths) == ["0_A", "1_A"]


def test_a_domain_without_pairs_is_refused_with_what_helps(domain):
    with pytest.raises(UserError, match=r"label2facade has no pairs to train on; take data\.name unpaired"):
        open_dataset(config(domain=domain(paired=False)), seed=0)


def test_names_of_a_domain_that_do_not_correspond_are_refused(domain, tmp_path):
    name = domain(paired=True)
    (tmp_path / "facades" / "trainA" / "3_A.png").rename(tmp_path / "facades" / "trainA" / "7_A.png")
    with pytest.raises(UserError, match="label2facade: its training images do not correspond by name"):
        find_splits(config(domain=name))
