"""Near-duplicates: what stays the same picture, and what does not."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from skimage import data

from cyclegan.data.duplicates import near_duplicates

DATA = os.environ.get("CYCLEGAN_DATA")


@pytest.fixture
def photo(tmp_path) -> Path:
    Image.fromarray(data.astronaut()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


CHANGES = {
    "resized": lambda picture: picture.resize((200, 190)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "warmer": lambda picture: Image.merge(
        "RGB", [picture.getchannel("R").point(lambda v: min(255, v + 8)), *picture.split()[1:]]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(photo, tmp_path, change):
    CHANGES[change](Image.open(photo)).save(tmp_path / "copy.jpg", quality=50)
    assert near_duplicates([tmp_path / "copy.jpg"], [photo]) == {tmp_path / "copy.jpg": photo}


@pytest.mark.parametrize("other", [data.coffee, data.chelsea, lambda: data.astronaut()[::-1]])
def test_another_picture_is_not(photo, tmp_path, other):
    Image.fromarray(np.ascontiguousarray(other())).save(tmp_path / "other.png")
    assert near_duplicates([tmp_path / "other.png"], [photo]) == {}


def test_flat_pictures_are_near_to_none(tmp_path):
    for name, level in (("a", 10), ("b", 11)):
        Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / f"{name}.png")
    assert near_duplicates([tmp_path / "a.png"], [tmp_path / "b.png"]) == {}
    assert near_duplicates([tmp_path / "a.png"], []) == {}


@pytest.mark.skipif(not DATA, reason="CYCLEGAN_DATA does not name the folder of pictures")
def test_real_photographs_are_told_apart():
    photos = sorted((Path(str(DATA)) / "monet2photo" / "testB").iterdir())
    assert near_duplicates(photos[:60], photos[60:160]) == {}
