"""Masks of styles: read from any file, alpha counted, empty ones refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from little import write_adain, write_gatys
from PIL import Image

from cyclegan.errors import UserError
from cyclegan.model.load import load
from cyclegan.model.masks import read_mask, read_masks

GREY = (np.arange(6 * 8).reshape(6, 8) * 5).astype(np.uint8)
ALPHA = np.flipud(GREY).copy()
BRIGHT = np.full((6, 8), 255, np.uint8)


def save(path: Path, grey: np.ndarray, alpha: np.ndarray, mode: str) -> Path:
    bands = [grey, alpha] if mode == "LA" else [grey, grey, grey, alpha]
    Image.merge(mode, [Image.fromarray(band) for band in bands]).save(path, lossless=True)
    return path


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.webp"])
def test_a_mask_is_its_luma_times_its_alpha(tmp_path, name, mode):
    mask = read_mask(save(tmp_path / name, GREY, ALPHA, mode))
    expected = torch.from_numpy(GREY / 255.0 * (ALPHA / 255.0)).float()
    assert mask.shape == (1, 1, 6, 8)
    seen = torch.from_numpy(ALPHA > 0)  # WebP may forget the color of what is transparent
    assert torch.allclose(mask[0, 0][seen], expected[seen], atol=0.5 / 255)
    assert (mask[0, 0][~seen] == 0).all()


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_soft_alpha_of_white_is_the_mask_and_white_below_transparency_is_outside(tmp_path_factory, data):
    alpha = np.array(data.draw(st.lists(st.integers(0, 255), min_size=12, max_size=12)), np.uint8).reshape(3, 4)
    alpha[0, 0] = 255
    path = save(tmp_path_factory.mktemp("masks") / "mask.png", np.full((3, 4), 255, np.uint8), alpha, "RGBA")
    assert torch.allclose(read_mask(path)[0, 0], torch.from_numpy(alpha / 255.0).float(), atol=1e-6)


def test_a_palette_with_a_transparent_color_and_a_16_bit_mask_are_read_too(tmp_path):
    palette = Image.fromarray((GREY > 100).astype(np.uint8)).convert("P")
    palette.putpalette([255, 255, 255, 255, 255, 255])
    palette.save(tmp_path / "palette.png", transparency=0)
    Image.fromarray((GREY > 100).astype(np.uint16) * 65535).save(tmp_path / "deep.png")
    for name in ("palette.png", "deep.png"):
        assert torch.equal(read_mask(tmp_path / name)[0, 0], torch.from_numpy(GREY > 100).float())


def test_masks_have_the_size_of_the_first(tmp_path):
    Image.fromarray(BRIGHT).save(tmp_path / "one.png")
    Image.fromarray(BRIGHT).resize((4, 3)).save(tmp_path / "two.png")
    assert torch.equal(read_masks([tmp_path / "one.png", tmp_path / "two.png"]), torch.ones(2, 6, 8))


@pytest.mark.parametrize("settings", [write_adain, lambda folder: write_gatys(folder, steps=1)])
@pytest.mark.parametrize("kind", ["black", "transparent", "black on transparent"])
def test_an_empty_mask_is_refused_by_the_name_of_its_file(tmp_path, settings, kind):
    Image.fromarray(BRIGHT).save(tmp_path / "full.png")
    grey, alpha = (0 * BRIGHT if part else BRIGHT for part in (kind.startswith("black"), kind == "transparent"))
    save(tmp_path / "void.png", grey, ALPHA if kind.startswith("black on") else alpha, "LA")
    style = tmp_path / "full.png"
    with pytest.raises(UserError, match=r"void\.png: this mask is empty"):
        load(settings(tmp_path), "cpu", [style, style], masks=[style, tmp_path / "void.png"])


def test_a_style_is_painted_only_where_its_mask_is_opaque(tmp_path):
    content = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    style = np.full((32, 32, 3), (255, 0, 0), dtype=np.uint8)
    Image.fromarray(content).save(tmp_path / "content.png"), Image.fromarray(style).save(tmp_path / "style.png")
    half = np.repeat([255, 0], 16).astype(np.uint8)[:, None].repeat(32, axis=1)
    save(tmp_path / "half.png", np.full((32, 32), 255, np.uint8), half, "RGBA")
    Image.fromarray(half).save(tmp_path / "plain.png")
    gatys = write_gatys(tmp_path, steps=8)
    painted = [
        np.asarray(load(gatys, "cpu", [tmp_path / "style.png"], masks=[tmp_path / name])(tmp_path / "content.png"))
        for name in ("half.png", "plain.png")
    ]
    assert np.array_equal(*painted)
    change = np.abs(painted[0].astype(int) - content).mean(axis=(1, 2))
    assert change[:14].mean() > 5 * change[18:].mean()
