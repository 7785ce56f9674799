"""Decoded pictures as files: the same pictures, decoded once, and never a damaged or an outdated one."""

import os

import numpy as np
import pytest
import torch
from building import unpaired_stream

from cyclegan.data import cached_images as folder
from cyclegan.data.cache import PictureCache
from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.errors import ResourceError, UserError
from cyclegan.images.rgb8 import write_picture


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(found):
        write_picture(path, np.random.default_rng(i).integers(256, size=(20, 24, 3), dtype=np.uint8))
    return found


@pytest.fixture
def cache(tmp_path) -> PictureCache:
    return PictureCache(tmp_path / "decoded")


@pytest.fixture
def decoded(paths, monkeypatch) -> list:
    """Those of our files that have been decoded so far. (Threads of an earlier test may still read ahead.)"""
    names, read = [], folder.read_picture

    def with_callback(path):
        if path in paths:
            names.append(path)
        return read(path)

    monkeypatch.setattr(folder, "read_picture", with_callback)
    return names


def pictures(paths, cache=None, load_size=16) -> CachedImages:
    return CachedImages(paths, load_size, 8, MemoryBudget(2**20), cache=cache)


def test_pictures_are_those_without_a_cache_and_are_decoded_once_for_all_runs(paths, cache, decoded):
    plain = pictures(paths)
    expected = [plain[i] for i in range(3)]
    decoded.clear()
    for _ in range(2):
        run = pictures(paths, cache)
        assert all(torch.equal(run[i], expected[i]) for i in (2, 0, 1, 0))
    assert sorted(decoded) == paths


def test_batches_are_those_without_a_cache(paths, tmp_path):
    def batch(cache_folder):
        config = UnpairedConfig(x=tmp_path, y=tmp_path, load_size=16, crop_size=8, cache_folder=cache_folder)
        return unpaired_stream(paths, paths, config, seed=0).batch_at(7)

    expected = batch(None)
    for _ in range(2):
        assert all(torch.equal(one, other) for one, other in zip(batch(tmp_path / "decoded"), expected, strict=True))


def test_others_may_read_what_the_user_lets_them_read_of_any_new_file(paths, cache, tmp_path):
    (tmp_path / "any").touch()
    pictures(paths, cache)[0]
    (file,) = cache.folder.iterdir()
    assert file.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_another_size_and_a_changed_picture_are_decoded_anew(paths, cache, decoded):
    pictures(paths, cache)[0]
    assert pictures(paths, cache, load_size=12)[0].shape == (3, 12, 12)
    write_picture(paths[0], np.zeros((20, 24, 3), np.uint8))
    os.utime(paths[0], ns=(1, 1))
    assert not pictures(paths, cache)[0].any()
    assert decoded == 3 * [paths[0]]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not an array", None])
def test_a_damaged_file_is_made_again(paths, cache, damage, decoded):
    expected = pictures(paths, cache)[0].clone()
    (file,) = cache.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-5] if damage is None else damage)
    assert torch.equal(pictures(paths, cache)[0], expected)
    assert torch.equal(pictures(paths, cache)[0], expected)
    assert len(decoded) == 2


def test_an_array_of_something_else_is_made_again(paths, cache):
    expected = pictures(paths, cache)[0].clone()
    (file,) = cache.folder.iterdir()
    np.save(file, np.zeros((2, 2)))
    assert torch.equal(pictures(paths, cache)[0], expected)


def test_nobody_can_change_a_file_through_what_was_read(paths, cache):
    expected = pictures(paths, cache)[0].clone()
    pictures(paths, cache)[0].zero_()
    assert torch.equal(pictures(paths, cache)[0], expected)


def test_a_file_is_looked_up_once_and_not_kept_open(paths, cache, monkeypatch):
    expected = [pictures(paths, cache)[i].clone() for i in range(3)]
    before = set(os.listdir("/proc/self/fd"))
    run = pictures(paths, cache)
    found = [run[i] for i in range(3)]
    assert set(os.listdir("/proc/self/fd")) <= before
    monkeypatch.setattr(PictureCache, "path", None)
    assert all(torch.equal(run[i], expected[i]) and torch.equal(found[i], expected[i]) for i in range(3))


def test_no_half_written_file_is_left_where_writing_fails(paths, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ResourceError, match=r"decoded: cannot be written .*; give another data.cache_folder"):
        pictures(paths, cache)[0]
    assert not list(cache.folder.iterdir())


def test_a_folder_that_is_a_file_is_refused(paths, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="taken: cannot be written"):
        pictures(paths, PictureCache(tmp_path / "taken"))[0]
