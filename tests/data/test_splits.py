"""Which pictures are trained on, tested on and kept aside."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.data.cache import PictureCache
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.splits import Side, Splits, _skip_unreadable, find_splits, split_test
from cyclegan.errors import UserError


@pytest.fixture
def config(tmp_path) -> UnpairedConfig:
    for side in ("photos", "paintings"):
        for i in range(60):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.new("RGB", (16, 16)).save(tmp_path / side / f"{i}.png")
    return UnpairedConfig(x=tmp_path / "photos", y=tmp_path / "paintings", load_size=16, crop_size=16)


def test_by_default_nothing_is_kept_aside(config):
    splits = find_splits(config)
    assert (splits.x.validation, splits.y.validation) == ([], [])
    assert (len(splits.x.train), len(splits.x.test)) == (56, 4)


@pytest.mark.parametrize("again", ["photos", "paintings/../photos", "linked"])
def test_a_folder_is_no_other_side_of_itself_however_it_is_spelled(config, tmp_path, again):
    (tmp_path / "linked").symlink_to(tmp_path / "photos")
    twice = replace(config, y=tmp_path / again)
    with pytest.raises(UserError, match=f"photos and {twice.y}: are the same folder; give one for each side"):
        find_splits(twice)


def test_what_is_kept_aside_is_neither_trained_on_nor_tested_on(config):
    whole, parted = find_splits(config), find_splits(replace(config, validation=0.2))
    assert parted.x.test == whole.x.test
    assert len(parted.x.validation) == 11
    assert sorted(parted.x.train + parted.x.validation) == whole.x.train
    assert not set(parted.y.train) & set(parted.y.validation)


def test_a_picture_added_later_moves_few_others(config):
    before = find_splits(replace(config, validation=0.2))
    Image.new("RGB", (16, 16)).save(Path(str(config.x)) / "new.png")
    after = find_splits(replace(config, validation=0.2))
    assert len(set(before.x.validation) ^ set(after.x.validation)) <= 2


@pytest.mark.parametrize(("count", "held"), [(2, 1), (7, 1), (8, 2), (16, 4), (79, 4), (80, 4), (100, 5), (2000, 100)])
def test_one_picture_in_twenty_is_held_out_or_four_where_they_are_no_more_than_a_quarter(count, held):
    paths = [Path("photos") / f"{i}.png" for i in range(count)]
    kept, tested = split_test(paths, Path("photos"))
    assert (len(kept), len(tested)) == (count - held, held)
    assert sorted(kept + tested) == sorted(paths)


@pytest.mark.parametrize("share", [1e-6, 0.999])
def test_both_parts_get_at_least_one(config, share):
    splits = find_splits(replace(config, validation=share))
    assert min(len(splits.x.train), len(splits.x.validation)) == 1


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match="validation: must lie in"):
        UnpairedConfig(domain="photo2painting", validation=share)


# Bad pictures


def many(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{i:03d}.png" for i in range(count)]
    for path in paths:
        Image.new("RGB", (1, 1)).save(path)
    return paths


@pytest.fixture
def paired(tmp_path) -> Splits:
    """Two hundred pictures of each side, of which a hundred test pictures correspond."""
    x, y = many(tmp_path / "x", 200), many(tmp_path / "y", 200)
    sides = {name: Side(name=name, train=paths[:100], test=paths[100:]) for name, paths in (("x", x), ("y", y))}
    return Splits(domain="x2y", **sides, paired=frozenset({"test"}))


def test_good_pictures_all_stay(paired):
    assert _skip_unreadable(paired, 0.01) == paired


def test_a_bad_picture_leaves_its_list_and_of_two_that_correspond_both_go(paired):
    for path in (paired.x.train[7], paired.x.test[3], paired.y.test[5]):
        path.write_bytes(b"no picture")
    kept = _skip_unreadable(paired, 0.01)
    assert kept.x.train == paired.x.train[:7] + paired.x.train[8:]
    assert kept.y.train == paired.y.train
    for side in ("x", "y"):
        whole = getattr(paired, side).test
        assert getattr(kept, side).test == [path for i, path in enumerate(whole) if i not in (3, 5)]
    assert [str(bad).split(": ")[0] for bad in kept.unreadable] == [
        str(path) for path in (paired.x.train[7], paired.x.test[3], paired.y.test[5])
    ]


def test_up_to_a_hundredth_of_a_side_may_be_bad(paired):
    for path in paired.y.train[:2]:
        path.write_bytes(b"")
    assert len(_skip_unreadable(paired, 0.01).unreadable) == 2
    paired.y.test[0].write_bytes(b"")
    with pytest.raises(UserError, match=r"3 of 200 pictures of y cannot be read, above data.max_bad_fraction \(1%\)"):
        _skip_unreadable(paired, 0.01)


def test_by_default_no_picture_is_opened(config, monkeypatch):
    monkeypatch.setattr("cyclegan.data.splits.inspect_all", lambda _: pytest.fail("opened"))
    assert find_splits(config).unreadable == []


def test_validation_pictures_are_taken_from_the_good_ones(config):
    count = 240
    for i in range(60, count):
        Image.new("RGB", (1, 1)).save(Path(str(config.x)) / f"{i}.png")
    bad = find_splits(replace(config, validation=0.2)).x.validation[0]
    bad.write_bytes(b"")
    kept = find_splits(replace(config, validation=0.2, on_bad_image="skip"))
    assert bad not in kept.x.train + kept.x.validation + kept.x.test
    assert len(kept.x.train) + len(kept.x.validation) + len(kept.x.test) == count - 1


NOT_UTF8 = os.fsdecode(b"caf\xe9")  # as an old archive leaves it


def test_names_that_are_not_utf8_are_divided_and_cached_like_others(tmp_path):
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16)).save(folder / f"{NOT_UTF8}{i}.png")
        (tmp_path / "y").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "y" / f"{i}.png")
    splits = find_splits(UnpairedConfig(x=folder, y=tmp_path / "y", load_size=16, crop_size=16, validation=0.2))
    assert len(splits.x.train) + len(splits.x.validation) + len(splits.x.test) == 8
    assert (splits.x.name, splits.domain) == ("caf\N{REPLACEMENT CHARACTER}", "caf\N{REPLACEMENT CHARACTER}2y")
    cache = PictureCache(tmp_path / "cache")
    assert len({cache.path(path, "16") for path in splits.x.train}) == len(splits.x.train)


def test_a_training_tells_what_it_skips(config):
    (config.x / "film.mts").touch()
    (config.y / "notes.txt").touch()
    assert find_splits(config).skipped.startswith("skipped: 1 .mts, 1 .txt (name films one by one")


def test_a_training_on_a_folder_of_films_is_refused_as_such(tmp_path):
    for side in ("x", "y"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "film.mp4").touch()
    with pytest.raises(UserError, match="only films there, no images"):
        find_splits(UnpairedConfig(x=tmp_path / "x", y=tmp_path / "y", load_size=16, crop_size=16))
