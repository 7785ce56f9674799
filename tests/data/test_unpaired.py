"""Stream batches: a function of (seed, step) alone; shuffled passes, uniform crops, flips every other time."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Barrier, get_ident
from typing import NamedTuple

import numpy as np
import pytest
import torch
from building import held_out, unpaired_stream
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from cyclegan.data import cached_images as folder
from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.crops import cut
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import BadPictureError, write_picture

HEIGHT, WIDTH, CROP = 12, 14, 8
CONFIG = UnpairedConfig(domain="photo2painting", load_size=None, crop_size=CROP, workers=1)


class Origin(NamedTuple):
    """Where a crop comes from."""

    picture: int
    top: int
    left: int
    flipped: bool


def origin(crop: Tensor) -> Origin:
    """Read off the pixels: red is the number of the picture, green the row, blue the column."""
    red, green, blue = (crop + 1).mul(127.5).round().int()
    flipped = bool(blue[0, 0] > blue[0, -1])
    left = int(blue[0, -1] if flipped else blue[0, 0])
    rows, columns = torch.arange(CROP), torch.arange(CROP)
    assert (red == red[0, 0]).all()
    assert torch.equal(green, (int(green[0, 0]) + rows).int()[:, None].expand(CROP, CROP))
    assert torch.equal(blue, (left + (columns.flip(0) if flipped else columns)).int().expand(CROP, CROP))
    return Origin(int(red[0, 0]), int(green[0, 0]), left, flipped)


@pytest.fixture(scope="module")
def sides(tmp_path_factory) -> tuple[list[Path], list[Path]]:
    """Five pictures of X and seven of Y that say where each pixel comes from."""
    root = tmp_path_factory.mktemp("sides")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    paths = ([root / f"x{i}.png" for i in range(5)], [root / f"y{i}.png" for i in range(7)])
    for side in paths:
        for i, path in enumerate(side):
            write_picture(path, np.stack([np.full_like(rows, i), rows, columns], axis=-1).astype(np.uint8))
    return paths


@pytest.fixture(scope="module")
def sequence(sides) -> list[tuple[Origin, Origin]]:
    """Where the crops of 700 steps come from."""
    batches = unpaired_stream(*sides, CONFIG, seed=0)
    return [tuple(origin(side[0]) for side in batches.batch_at(step)) for step in range(700)]


@settings(deadline=None, max_examples=25)
@given(
    steps=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    seed=st.integers(0, 2**33),
    size=st.integers(1, 3),
    workers=st.integers(1, 4),
)
def test_a_batch_is_a_function_of_seed_and_step_alone(sides, steps, seed, size, workers):
    one = unpaired_stream(*sides, replace(CONFIG, batch_size=size), seed)
    in_order = {step: one.batch_at(step) for step in sorted(set(steps))}
    many = unpaired_stream(*sides, replace(CONFIG, batch_size=size, workers=workers, cache_mb=0), seed)
    for step in steps:  # in any order, some twice
        for given_now, expected in zip(many.batch_at(step), in_order[step], strict=True):
            assert torch.equal(given_now, expected)


def test_the_files_of_a_step_are_named(sides, sequence):
    batches = unpaired_stream(*sides, replace(CONFIG, batch_size=2), seed=0)
    for step in (0, 1, 7, 40):
        for side, field in enumerate(("x", "y")):
            shown = [sequence[2 * step + k][side].picture for k in range(2)]
            assert batches.names_at(step)[field] == [str(sides[side][i]) for i in shown]


def test_every_pass_shows_each_picture_once(sequence):
    for side, count in ((0, 5), (1, 7)):
        shown = [crops[side].picture for crops in sequence]
        passes = [tuple(shown[start : start + count]) for start in range(0, 700, count)]
        assert all(sorted(each) == list(range(count)) for each in passes)
        assert len(set(passes)) > 50


def test_a_larger_batch_walks_through_the_same_samples_in_fewer_steps(sides, sequence):
    batches = unpaired_stream(*sides, replace(CONFIG, batch_size=3), seed=0)
    for step in (0, 1, 5):
        for side, images in enumerate(batches.batch_at(step)):
            assert [origin(image) for image in images] == [sequence[3 * step + k][side] for k in range(3)]


def test_the_two_sides_are_drawn_independently(sides):
    same = unpaired_stream(sides[0], sides[0], CONFIG, seed=0)
    pairs = [tuple(origin(side[0]) for side in same.batch_at(step)) for step in range(500)]
    for field in range(4):
        x, y = np.array([[pair[0][field], pair[1][field]] for pair in pairs], dtype=float).T
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.12
    assert 0.1 < np.mean([x.picture == y.picture for x, y in pairs]) < 0.3


def test_crops_lie_inside_and_everywhere_equally_often(sequence):
    for side in (0, 1):
        tops = Counter(crops[side].top for crops in sequence)
        lefts = Counter(crops[side].left for crops in sequence)
        assert set(tops) == set(range(HEIGHT - CROP + 1))
        assert set(lefts) == set(range(WIDTH - CROP + 1))
        assert all(abs(count / 140 - 1) < 0.3 for count in tops.values())
        assert all(abs(count / 100 - 1) < 0.35 for count in lefts.values())


def test_every_other_crop_is_mirrored(sequence):
    for side in (0, 1):
        assert 0.45 < np.mean([crops[side].flipped for crops in sequence]) < 0.55


def test_without_flip_the_same_crops_come_unmirrored(sides, sequence):
    batches = unpaired_stream(*sides, replace(CONFIG, flip=False), seed=0)
    for step in range(20):
        expected = [crop._replace(flipped=False) for crop in sequence[step]]
        assert [origin(side[0]) for side in batches.batch_at(step)] == expected


def test_another_seed_gives_other_pictures_and_other_crops(sides, sequence):
    other = unpaired_stream(*sides, CONFIG, seed=1)
    pairs = [(origin(other.batch_at(step)[side][0]), sequence[step][side]) for step in range(40) for side in (0, 1)]
    assert sum(a.picture == b.picture for a, b in pairs) < 40
    assert sum(a[1:] == b[1:] for a, b in pairs) < 10


@settings(deadline=None, max_examples=100)
@given(
    size=st.integers(1, 6),
    room=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    shares=st.tuples(*2 * [st.floats(0, 1, exclude_max=True)]),
)
def test_a_cut_is_a_square_of_the_picture_at_the_given_shares_of_the_way(size, room, shares):
    height, width = size + room[0], size + room[1]
    picture = torch.randint(256, (3, height, width), dtype=torch.uint8)
    square = cut(picture, size, *shares)
    top, left = int(np.floor(shares[0] * (room[0] + 1))), int(np.floor(shares[1] * (room[1] + 1)))
    assert (0 <= top <= room[0], 0 <= left <= room[1]) == (True, True)
    assert torch.equal(square, picture[:, top : top + size, left : left + size])
    assert square.shape == (3, size, size)


def test_a_cut_reaches_all_four_borders():
    picture, last = torch.randint(256, (3, 9, 7), dtype=torch.uint8), np.nextafter(1.0, 0.0)
    assert torch.equal(cut(picture, 4, 0.0, 0.0), picture[:, :4, :4])
    assert torch.equal(cut(picture, 4, last, last), picture[:, -4:, -4:])


def test_levels_become_exact_floats_from_minus_one_to_one(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_picture(tmp_path / "levels.png", np.stack([levels] * 3, axis=-1))
    config = replace(CONFIG, crop_size=16, flip=False)
    batch = unpaired_stream([tmp_path / "levels.png"], [tmp_path / "levels.png"], config, seed=0).batch_at(0)
    assert batch.x.dtype == torch.float32
    assert torch.allclose(batch.x[0, 1].flatten(), torch.linspace(-1, 1, 256), atol=1e-6)
    assert (batch.x.min(), batch.x.max()) == (-1, 1)


def test_a_picture_too_small_is_named_with_its_size_and_a_remedy(sides, tmp_path):
    small = tmp_path / "small.png"
    write_picture(small, np.zeros((6, 20, 3), dtype=np.uint8))
    said = r"small\.png: 20×6 is smaller than crop_size 8; set data\.load_size to 8 or more, or data\.crop_size to 6 or"
    with pytest.raises(UserError, match=said):
        unpaired_stream(sides[0], [small], CONFIG, seed=0).batch_at(0)
    with pytest.raises(UserError, match=said):
        held_out([small], sides[1], CONFIG)
    assert unpaired_stream([small], [small], replace(CONFIG, load_size=9), seed=0).batch_at(0).x.shape == (1, 3, 8, 8)


def test_a_damaged_picture_is_reported_at_the_step_that_shows_it_and_at_no_other(sides, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(sides[0][0].read_bytes()[:40])
    paths = [*sides[0][:4], broken]
    batches, shown = unpaired_stream(paths, sides[1], CONFIG, seed=0), unpaired_stream(*sides, CONFIG, seed=0)
    bad = [step for step in range(10) if origin(shown.batch_at(step).x[0]).picture == 4]
    assert len(bad) == 2  # once in each pass
    for step in set(range(10)) - set(bad):
        batches.batch_at(step)
    for step in bad:
        with pytest.raises(BadPictureError, match=r"broken\.png"):
            batches.batch_at(step)


def test_held_out_is_always_the_same_and_spread_over_the_list(sides):
    first, second = held_out(*sides, CONFIG), held_out(*sides, replace(CONFIG, batch_size=3, workers=4, flip=False))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert [origin(image) for image in first.x] == [Origin(i, 2, 3, False) for i in (0, 1, 3, 4)]
    assert [origin(image).picture for image in first.y] == [0, 2, 4, 6]


@pytest.mark.parametrize(("x", "y", "count", "expected"), [(5, 7, 9, 5), (1, 7, 4, 1), (5, 2, 4, 2), (5, 7, 1, 1)])
def test_held_out_takes_as_many_of_each_side_as_both_have(sides, x, y, count, expected):
    batch = held_out(sides[0][:x], sides[1][:y], CONFIG, count)
    assert len(batch.x) == len(batch.y) == expected
    assert len({origin(image).picture for image in batch.y}) == expected


@pytest.mark.parametrize("load_size", [24, 64])
def test_resizing_is_that_of_pillow_to_within_one_level(tmp_path, load_size):
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    write_picture(tmp_path / "noise.png", noise)
    ours = CachedImages([tmp_path / "noise.png"], load_size, crop_size=8, room=MemoryBudget(0))[0]
    pillow = Image.fromarray(noise).resize((load_size, load_size), Image.Resampling.BICUBIC)
    assert ours.shape == (3, load_size, load_size)
    difference = np.abs(ours.permute(1, 2, 0).numpy().astype(int) - np.asarray(pillow))
    assert difference.max() <= 1
    assert difference.mean() < 0.1


def test_pictures_are_read_once_as_long_as_there_is_room(sides, monkeypatch):
    read, original = Counter(), folder.read_picture
    monkeypatch.setattr(folder, "read_picture", lambda path: read.update([path]) or original(path))
    size = 3 * HEIGHT * WIDTH
    pictures = CachedImages(sides[0], None, CROP, room=MemoryBudget(2 * size + size // 2))
    for _ in range(3):
        for i in range(5):
            assert pictures[i][0, 0, 0] == i
    assert [read[path] for path in sides[0]] == [1, 1, 3, 3, 3]


def test_all_readers_find_something_to_read_however_many_there_are(sides, monkeypatch):
    together, been, original = Barrier(7, timeout=30), set(), folder.read_picture

    def read(path: Path) -> np.ndarray:
        if get_ident() not in been:
            been.add(get_ident())
            together.wait()  # raises if the others do not come
        return original(path)

    monkeypatch.setattr(folder, "read_picture", read)
    batches = unpaired_stream(*sides, replace(CONFIG, workers=7, cache_mb=0), seed=0)
    assert batches.batch_at(0).x.shape == (1, 3, CROP, CROP)


def test_what_a_small_side_leaves_of_the_memory_a_large_one_may_take(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(10)]
    for path in paths:
        write_picture(path, np.zeros((256, 256, 3), np.uint8))
    read, original = Counter(), folder.read_picture
    monkeypatch.setattr(folder, "read_picture", lambda path: read.update([path]) or original(path))
    large, small = unpaired_stream(paths[:9], paths[9:], replace(CONFIG, cache_mb=2), seed=0).source.sides
    for _ in range(3):
        for pictures in (small, large):
            for i in range(len(pictures)):
                assert pictures[i].shape == (3, 256, 256)
    assert [read[path] for path in paths] == [1] * 10  # 1.9 MB in all, of which one side has 1.7


def test_a_batch_does_not_share_memory_with_the_cache(sides):
    batches = unpaired_stream(*sides, CONFIG, seed=0)
    batches.batch_at(0).x.zero_()
    again = unpaired_stream(*sides, CONFIG, seed=0)
    assert torch.equal(batches.batch_at(0).x, again.batch_at(0).x)
    assert origin(batches.batch_at(5).x[0]) == origin(again.batch_at(5).x[0])


def test_every_part_of_a_batch_has_the_images_that_it_has_on_one_process(sides, monkeypatch):
    config = replace(CONFIG, batch_size=12)
    alone = unpaired_stream(*sides, config, seed=0, micro_batches=2).batch_at(3)
    shares = []
    monkeypatch.setattr("cyclegan.distributed.world_size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr("cyclegan.distributed.rank", lambda rank=rank: rank)
        shares.append(unpaired_stream(*sides, config, seed=0, micro_batches=2).batch_at(3))
    for side, whole in enumerate(alone):
        for part, expected in enumerate(whole.chunk(2)):
            assert torch.equal(torch.cat([share[side].chunk(2)[part] for share in shares]), expected)
