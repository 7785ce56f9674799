"""Near-duplicates: what stays the same picture, and what does not."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from skimage import data

from cyclegan.data import duplicates
from cyclegan.data.duplicates import NEAR, near_duplicates, nearest, repeated

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


def drawn(seed: int, count: int, noise: float, kinds: int) -> np.ndarray:
    """Shapes of pictures that are variations of a few, and some flat ones."""
    random = np.random.default_rng(seed)
    base = random.standard_normal((kinds, 64))
    found = base[random.integers(kinds, size=count)] + noise * random.standard_normal((count, 64))
    found -= found.mean(axis=1, keepdims=True)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return (found * (random.random((count, 1)) < 0.9)).astype(np.float32)


@given(
    seed=st.integers(0, 2**32), count=st.integers(1, 60), noise=st.floats(0.01, 0.3), kinds=st.integers(1, 20),
    block=st.integers(1, 70),
)  # fmt: skip
def test_block_by_block_is_what_all_at_once_would_be(seed, count, noise, kinds, block):
    of = drawn(seed, count, noise, kinds)
    near = of @ of.T > NEAR
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        found, halves = repeated(of), nearest(of[count // 2 :], of[: count // 2]) if count > 1 else {}
    staying = [i for i in range(count) if i not in found]
    assert not any(near[i, j] for i in staying for j in staying if i < j)  # the others are enough to leave out …
    assert all(near[i, j] and j < i and j not in found for i, j in found.items())  # … and each has its reason
    alone = {i for i in range(count) if not near[i, :i].any()}
    assert alone.isdisjoint(found)
    across = of[count // 2 :] @ of[: count // 2].T
    assert set(halves) == set(np.flatnonzero((across > NEAR).any(axis=1)))
    assert all(across[i, j] == across[i].max() for i, j in halves.items())


@pytest.mark.parametrize("noise", [0.0, 0.001, 3.0])
def test_memory_grows_with_the_number_of_pictures_and_not_with_its_square(noise):
    def peak(count: int) -> int:
        of = drawn(0, count, noise, 1)
        tracemalloc.start()
        repeated(of)
        nearest(of, of)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(1_000), peak(4_000)
    assert large < 6 * small
    assert large < 30e6  # all pairs as positions would be 128 MB, as correlations 64 MB


@pytest.mark.skipif(not DATA, reason="CYCLEGAN_DATA does not name the folder of pictures")
def test_real_photographs_are_told_apart():
    photos = sorted((Path(str(DATA)) / "monet2photo" / "testB").iterdir())
    assert near_duplicates(photos[:60], photos[60:160]) == {}
