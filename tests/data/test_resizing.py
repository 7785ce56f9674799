"""Contents and styles from two folders: the batches of Stream under their names; resizing that keeps the aspect."""

from pathlib import Path

import numpy as np
import pytest
import torch
from building import unpaired_stream

from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import write_picture

CONFIG = UnpairedConfig(
    x=Path("contents"), y=Path("styles"), load_size=12, resize="shorter_side", crop_size=8, batch_size=2, workers=1
)


def ramp(height: int, width: int, red: int) -> np.ndarray:
    """Green grows downwards and blue to the right, both by 4 a pixel."""
    rows, columns = np.mgrid[:height, :width] * 4
    return np.stack([np.full_like(rows, red), rows, columns], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def sides(tmp_path_factory) -> tuple[list[Path], list[Path]]:
    """Three contents with red 10 and two styles with red 200, landscape and portrait."""
    root = tmp_path_factory.mktemp("sides")
    paths = ([root / f"content{i}.png" for i in range(3)], [root / f"style{i}.png" for i in range(2)])
    for side, red in zip(paths, (10, 200), strict=True):
        for i, path in enumerate(side):
            write_picture(path, ramp(*((24, 48) if i % 2 else (40, 24)), red))
    return paths


@pytest.mark.parametrize(("size", "expected"), [((24, 48), (12, 24)), ((40, 24), (20, 12)), ((6, 6), (12, 12))])
def test_the_shorter_side_gets_the_size_and_the_longer_follows(tmp_path, size, expected):
    write_picture(tmp_path / "ramp.png", ramp(*size, 0))
    picture = CachedImages([tmp_path / "ramp.png"], 12, crop_size=8, room=MemoryBudget(0), keep_aspect=True)[0]
    assert picture.shape == (3, *expected)
    slopes = [np.diff(picture[channel].numpy().astype(int), axis=axis).mean() for channel, axis in ((1, 0), (2, 1))]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.1)  # a pixel is as high as it is wide


def test_a_square_resize_does_not_keep_the_aspect(tmp_path):
    write_picture(tmp_path / "ramp.png", ramp(24, 48, 0))
    assert CachedImages([tmp_path / "ramp.png"], 12, crop_size=8, room=MemoryBudget(0))[0].shape == (3, 12, 12)


def test_crops_reach_both_ends_of_the_longer_side(sides):
    batches = unpaired_stream([sides[0][1]], sides[1], CONFIG, seed=0)  # 12×24 px: blue runs from 0 to 188
    blues = torch.cat([batches.batch_at(step).x[:, 2] for step in range(40)])
    assert blues.min() < -0.9
    assert blues.max() > 0.4


def test_without_a_load_size_pictures_stay_as_they_are_whatever_the_resize(sides):
    for keep_aspect in (True, False):
        assert CachedImages(sides[0], None, 8, MemoryBudget(0), keep_aspect)[1].shape == (3, 24, 48)
    with pytest.raises(UserError, match="48×24 is smaller than crop_size 32"):
        CachedImages(sides[0], None, 32, MemoryBudget(0), keep_aspect=True)[1]
