"""Glyphs: a target with references of its font and of its character, on a table that is parted into D1 to D4."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.data.data_config import GlyphsConfig
from cyclegan.data.dataset import open_dataset
from cyclegan.data.glyphs import split_table
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import write_picture

FONTS = ("serif", "sans", "mono", "script", "slab", "hand")
CHARACTERS = "abcdefgh"
SIZE = 4


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> GlyphsConfig:
    """Six sheets, in two rows; a glyph is a cell of one level that tells font and character."""
    root = tmp_path_factory.mktemp("fonts")
    for font, name in enumerate(FONTS):
        levels = np.arange(8).reshape(2, 4) + 16 * font
        sheet = levels.repeat(SIZE, axis=0).repeat(SIZE, axis=1)[..., None].repeat(3, axis=2)
        write_picture(root / f"{name}.png", sheet.astype(np.uint8))
    fonts = tuple(root / f"{name}.png" for name in FONTS)
    return GlyphsConfig(fonts=fonts, characters=CHARACTERS, size=SIZE, references=3, workers=1, batch_size=2)


def places(images: torch.Tensor) -> list[tuple[int, int]]:
    """(font, character) of each glyph."""
    levels = images.flatten(0, -3)[:, 0, 0].add(1).mul(127.5).round().int().tolist()
    return [divmod(level, 16) for level in levels]


names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=3)


@settings(deadline=None)
@given(
    fonts=st.lists(names, min_size=2, max_size=9, unique=True),
    characters=st.text("abcdefghij", min_size=2)
    .map(lambda text: "".join(sorted(set(text))))
    .filter(lambda t: len(t) > 1),
    novel=st.floats(0.01, 0.99),
)
def test_the_four_parts_are_disjoint_and_are_the_whole_table(fonts, characters, novel):
    parts = split_table(fonts, characters, novel)
    cells = [set(itertools.product(part.fonts, part.characters)) for part in parts.values()]
    assert list(parts) == ["D1", "D2", "D3", "D4"]
    assert all(cells)
    assert set().union(*cells) == set(itertools.product(range(len(fonts)), range(len(characters))))
    assert sum(map(len, cells)) == len(fonts) * len(characters)


def test_fonts_stay_in_their_part_whatever_their_order():
    parts = split_table(FONTS, CHARACTERS, 0.25)
    turned = split_table(FONTS[::-1], CHARACTERS, 0.25)
    assert {FONTS[i] for i in parts["D1"].fonts} == {FONTS[::-1][i] for i in turned["D1"].fonts}


def test_references_are_of_the_font_and_of_the_character_of_the_target_and_exclude_it(config):
    dataset = open_dataset(config, seed=0)
    known = dataset.parts["D1"]
    for step in range(15):
        batch = dataset.stream.batch_at(step)
        assert (batch.style.shape, batch.target.shape) == ((2, 3, SIZE, SIZE), (2, 1, SIZE, SIZE))
        for i, (font, character) in enumerate(places(batch.target)):
            assert (font in known.fonts, character in known.characters) == (True, True)
            style, content = places(batch.style[i]), places(batch.content[i])
            assert {each for each, _ in style} == {font}
            assert {each for _, each in content} == {character}
            assert character not in {each for _, each in style}
            assert font not in {each for each, _ in content}
            assert {each for _, each in style} <= set(known.characters)
            assert {each for each, _ in content} <= set(known.fonts)
            assert len(set(style)) == len(set(content)) == 3


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**33), step=st.integers(0, 99))
def test_a_batch_is_a_function_of_seed_and_step_alone(config, seed, step):
    one, other = (open_dataset(replace(config, workers=workers), seed).stream for workers in (1, 3))
    other.batch_at(step // 2)
    assert all(map(torch.equal, one.batch_at(step), other.batch_at(step)))


def test_every_pass_shows_each_known_glyph_once(config):
    dataset = open_dataset(replace(config, batch_size=1), seed=0)
    count = dataset.counts["glyph"]
    shown = [places(dataset.stream.batch_at(step).target)[0] for step in range(2 * count)]
    assert len(set(shown[:count])) == len(set(shown[count:])) == count
    assert shown[:count] != shown[count:]


def test_tests_are_of_novel_fonts_and_characters_with_references_that_are_known(config):
    dataset = open_dataset(config, seed=0)
    novel, known = dataset.parts["D4"], dataset.parts["D1"]
    batch = dataset.held_out("test", 3)
    for i, (font, character) in enumerate(places(batch.target)):
        assert (font in novel.fonts, character in novel.characters) == (True, True)
        assert {each for _, each in places(batch.style[i])} <= set(known.characters)
        assert {each for each, _ in places(batch.content[i])} <= set(known.fonts)
    assert all(font in known.fonts for font, _ in places(dataset.held_out("train").target))


def test_fewer_glyphs_than_references_are_repeated(config):
    batch = open_dataset(replace(config, references=20), seed=0).stream.batch_at(0)
    assert batch.style.shape[1] == 20
    assert len(set(places(batch.style[0]))) == len(split_table(FONTS, CHARACTERS, 0.25)["D1"].characters) - 1


def test_names_tell_references_and_target(config):
    stream = open_dataset(config, seed=0).stream
    batch, named = stream.batch_at(3), stream.names_at(3)
    for i, (font, character) in enumerate(places(batch.target)):
        assert named["target"][i] == f"{FONTS[font]} {CHARACTERS[character]}"
        assert named["style"][i] == "".join(CHARACTERS[each] for _, each in places(batch.style[i]))
        assert named["content"][i] == " ".join(FONTS[each] for each, _ in places(batch.content[i]))


def test_a_sheet_of_another_size_is_refused_with_both_remedies(config, tmp_path):
    write_picture(tmp_path / "odd.png", np.zeros((SIZE, 30, 3), np.uint8))
    with pytest.raises(
        UserError, match=r"odd\.png: 30×4 px hold no 8 cells of 4 px; set data\.size .*data\.characters"
    ):
        open_dataset(replace(config, fonts=(*config.fonts, tmp_path / "odd.png")), seed=0)
    with pytest.raises(UserError, match=r"gone\.png: no such file; data\.fonts names sheets of glyphs"):
        open_dataset(replace(config, fonts=(*config.fonts, Path("gone.png"))), seed=0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fonts": (Path("a.png"),)}, "fonts: give two or more"),
        ({"fonts": (Path("x/a.png"), Path("y/a.png"))}, "fonts: give two or more, each with a name of its own"),
        ({"characters": "aa"}, "characters: give two or more, each once"),
        ({"novel": 0.0}, "novel: must lie between 0 and 1"),
        ({"source_font": "gothic"}, "source_font: gothic is not one of a, b"),
        ({"references": 0}, "references: must be at least 1"),
    ],
)
def test_a_table_that_cannot_be_parted_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        GlyphsConfig(**{"fonts": (Path("a.png"), Path("b.png")), "characters": "ab", **change})
