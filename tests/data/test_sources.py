"""Which pictures are trained on, tested on and kept aside."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.data.settings import UnpairedConfig
from cyclegan.data.sources import find_sources


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
    assert (len(sources.train_x), len(sources.test_x)) == (57, 3)


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


@pytest.mark.parametrize("share", [1e-6, 0.999])
def test_both_parts_get_at_least_one(config, share):
    sources = find_sources(replace(config, validation=share))
    assert min(len(sources.train_x), len(sources.validation_x)) == 1


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match="validation: must lie in"):
        UnpairedConfig(domain="photo2painting", validation=share)
