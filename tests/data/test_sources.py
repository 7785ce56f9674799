"""Which pictures are trained on, tested on and kept aside."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.data.cache import PictureCache
from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.sources import Sources, _leave_out_bad, find_sources, hold_out
from cyclegan.errors import UserError


@pytest.fixture
def config(tmp_path) -> UnpairedConfig:
    for side in ("photos", "paintings"):
        for i in range(60):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.new("RGB", (16, 16)).save(tmp_path / side / f"{i}.png")
    return UnpairedConfig(x=tmp_path / "photos", y=tmp_path / "paintings", load_size=16, crop_size=16)


def test_by_default_nothing_is_kept_aside(config):
    sources = find_sources(config)
    assert (sources.validation_x, sources.validation_y) == ([], [])
    assert (len(sources.train_x), len(sources.test_x)) == (56, 4)


@pytest.mark.parametrize("again", ["photos", "paintings/../photos", "linked"])
def test_a_folder_is_no_other_side_of_itself_however_it_is_spelled(config, tmp_path, again):
    (tmp_path / "linked").symlink_to(tmp_path / "photos")
    twice = replace(config, y=tmp_path / again)
    with pytest.raises(UserError, match=f"photos and {twice.y}: are the same folder; give one for each side"):
        find_sources(twice)


def test_what_is_kept_aside_is_neither_trained_on_nor_tested_on(config):
    whole, parted = find_sources(config), find_sources(replace(config, validation=0.2))
    assert parted.test_x == whole.test_x
    assert len(parted.validation_x) == 11
    assert sorted(parted.train_x + parted.validation_x) == whole.train_x
    assert not set(parted.train_y) & set(parted.validation_y)


def test_a_picture_added_later_moves_few_others(config):
    before = find_sources(replace(config, validation=0.2))
    Image.new("RGB", (16, 16)).save(Path(str(config.x)) / "new.png")
    after = find_sources(replace(config, validation=0.2))
    assert len(set(before.validation_x) ^ set(after.validation_x)) <= 2


@pytest.mark.parametrize(("count", "held"), [(2, 1), (7, 1), (8, 2), (16, 4), (79, 4), (80, 4), (100, 5), (2000, 100)])
def test_one_picture_in_twenty_is_held_out_or_four_where_they_are_no_more_than_a_quarter(count, held):
    paths = [Path("photos") / f"{i}.png" for i in range(count)]
    kept, tested = hold_out(paths, Path("photos"))
    assert (len(kept), len(tested)) == (count - held, held)
    assert sorted(kept + tested) == sorted(paths)


@pytest.mark.parametrize("share", [1e-6, 0.999])
def test_both_parts_get_at_least_one(config, share):
    sources = find_sources(replace(config, validation=share))
    assert min(len(sources.train_x), len(sources.validation_x)) == 1


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
def paired(tmp_path) -> Sources:
    """Two hundred pictures of each side, of which a hundred test pictures correspond."""
    x, y = many(tmp_path / "x", 200), many(tmp_path / "y", 200)
    sides = {"train_x": x[:100], "train_y": y[:100], "test_x": x[100:], "test_y": y[100:]}
    return Sources(domain="x2y", x="x", y="y", **sides, paired_test=True)


def test_good_pictures_all_stay(paired):
    assert _leave_out_bad(paired, 0.01) == paired


def test_a_bad_picture_leaves_its_list_and_of_two_that_correspond_both_go(paired):
    for path in (paired.train_x[7], paired.test_x[3], paired.test_y[5]):
        path.write_bytes(b"no picture")
    kept = _leave_out_bad(paired, 0.01)
    assert kept.train_x == paired.train_x[:7] + paired.train_x[8:]
    assert kept.train_y == paired.train_y
    for name in ("test_x", "test_y"):
        whole = getattr(paired, name)
        assert getattr(kept, name) == [path for i, path in enumerate(whole) if i not in (3, 5)]
    assert [str(bad).split(": ")[0] for bad in kept.left_out] == [
        str(path) for path in (paired.train_x[7], paired.test_x[3], paired.test_y[5])
    ]


def test_up_to_a_hundredth_of_a_side_may_be_bad(paired):
    for path in paired.train_y[:2]:
        path.write_bytes(b"")
    assert len(_leave_out_bad(paired, 0.01).left_out) == 2
    paired.test_y[0].write_bytes(b"")
    with pytest.raises(UserError, match=r"3 of 200 pictures of y cannot be read, above data.most_bad \(1%\)"):
        _leave_out_bad(paired, 0.01)


def test_by_default_no_picture_is_opened(config, monkeypatch):
    monkeypatch.setattr("cyclegan.data.sources.look_at_all", lambda _: pytest.fail("opened"))
    assert find_sources(config).left_out == []


def test_validation_pictures_are_taken_from_the_good_ones(config):
    count = 240
    for i in range(60, count):
        Image.new("RGB", (1, 1)).save(Path(str(config.x)) / f"{i}.png")
    bad = find_sources(replace(config, validation=0.2)).validation_x[0]
    bad.write_bytes(b"")
    kept = find_sources(replace(config, validation=0.2, on_bad_picture="skip"))
    assert bad not in kept.train_x + kept.validation_x + kept.test_x
    assert len(kept.train_x) + len(kept.validation_x) + len(kept.test_x) == count - 1


NOT_UTF8 = os.fsdecode(b"caf\xe9")  # as an old archive leaves it


def test_names_that_are_not_utf8_are_divided_and_cached_like_others(tmp_path):
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16)).save(folder / f"{NOT_UTF8}{i}.png")
        (tmp_path / "y").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "y" / f"{i}.png")
    sources = find_sources(UnpairedConfig(x=folder, y=tmp_path / "y", load_size=16, crop_size=16, validation=0.2))
    assert len(sources.train_x) + len(sources.validation_x) + len(sources.test_x) == 8
    assert (sources.x, sources.domain) == ("caf\N{REPLACEMENT CHARACTER}", "caf\N{REPLACEMENT CHARACTER}2y")
    cache = PictureCache(tmp_path / "cache")
    assert len({cache.path(path, "16") for path in sources.train_x}) == len(sources.train_x)


def test_a_training_tells_what_it_skips(config):
    (config.x / "film.mts").touch()
    (config.y / "notes.txt").touch()
    assert find_sources(config).skipped.startswith("skipped: 1 .mts, 1 .txt (name films one by one")


def test_a_training_on_a_folder_of_films_is_refused_as_such(tmp_path):
    for side in ("x", "y"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "film.mp4").touch()
    with pytest.raises(UserError, match="only films there, no images"):
        find_sources(UnpairedConfig(x=tmp_path / "x", y=tmp_path / "y", load_size=16, crop_size=16))
