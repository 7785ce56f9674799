"""Image grid: images as rows, methods as columns under their names."""

import numpy as np
import pytest
from PIL import ImageFont

from cyclegan.evaluation.image_grid import BAND, GAP, LETTERS, drawable, image_grid, shortened, titles


def flat(*levels: int, height: int = 160, width: int = 200) -> list[np.ndarray]:
    return [np.full((height, width, 3), level, dtype=np.uint8) for level in levels]


def test_the_grid_has_images_as_rows_and_methods_as_columns_in_their_order():
    shown = image_grid({"source": flat(10, 20), "first": flat(30, 40), "second": flat(50, 60)})
    assert shown.shape == (BAND + 2 * (160 + GAP) + GAP, 3 * (200 + GAP) + GAP, 3)
    middles = shown[BAND + GAP + 80 :: 160 + GAP, GAP + 100 :: 200 + GAP, 0]
    assert middles.tolist() == [[10, 30, 50], [20, 40, 60]]
    assert (shown[BAND : BAND + GAP] == 255).all()
    assert (shown[:, GAP + 200 : GAP + 200 + GAP] == 255).all()


def test_rows_are_as_high_as_their_pictures_and_columns_as_wide_as_the_widest():
    mixed = flat(10) + flat(20, height=180, width=100)
    shown = image_grid({"a": mixed, "b": mixed})
    assert shown.shape == (BAND + 160 + 180 + 3 * GAP, 2 * (200 + GAP) + GAP, 3)
    below = shown[BAND + 160 + 2 * GAP :]
    assert (below[:180, GAP : GAP + 100] == 20).all()
    assert (below[:180, GAP + 100 : 2 * GAP + 200] == 255).all()


def test_a_wall_of_small_pictures_is_doubled():
    small = np.random.default_rng(0).integers(256, size=(80, 70, 3), dtype=np.uint8)
    shown = image_grid({"a": [small, small]})
    assert shown.shape == (BAND + 2 * 160 + 3 * GAP, 140 + 2 * GAP, 3)
    assert np.array_equal(shown[BAND + GAP : -GAP : 2, GAP:-GAP:2][:80], small)


def test_the_titles_are_written_above_their_columns():
    shown = image_grid({"source": flat(0), "Gatys": flat(0)})
    band = shown[:BAND]
    assert np.array_equal(band, titles(["source", "Gatys"], shown.shape[1]))
    for i, name in enumerate(("source", "Gatys")):
        column = band[:, GAP // 2 + i * (200 + GAP) : GAP // 2 + (i + 1) * (200 + GAP)]
        left, right = np.flatnonzero((column < 128).any(axis=(0, 2)))[[0, -1]]
        assert right - left == pytest.approx(ImageFont.load_default(LETTERS).getlength(name), abs=4)
        assert (left + right) / 2 == pytest.approx(column.shape[1] / 2, abs=3)
    assert not np.array_equal(band, titles(["source", "Gatyz"], shown.shape[1]))


def test_a_title_that_is_too_long_is_cut_short_and_stays_in_its_column():
    font = ImageFont.load_default(LETTERS)
    assert shortened("Gatys", font, 100.0) == "Gatys"
    short = shortened("a very long name of a method", font, 100.0)
    assert short.startswith("a very l")
    assert short.endswith("...")
    assert 80 < font.getlength(short) <= 100
    assert shortened("Gatys", font, 1.0) == "..."
    band = titles(["x", "M" * 40], 2 * 104 + GAP)
    assert (band[:, : GAP // 2 + 30] == 255).all()
    assert (band[:, 80:106] == 255).all()


def test_letters_that_the_font_lacks_are_replaced():
    assert drawable("Cézanne → Ω") == "Cezanne ? ?"
