"""Strength: how much of a translation, from the picture itself to the whole of it."""

import numpy as np
import pytest
import torch
from building import build
from hypothesis import given
from hypothesis import strategies as st
from little import write_gatys

from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.images.tensors import read
from cyclegan.methods.adain import AdaINConfig
from cyclegan.model.load import load
from cyclegan.model.strength import at_strength


def picture(seed: int = 0, size: tuple[int, int] = (40, 24)) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "photo.png"
    write_picture(path, np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8))
    return path


def test_at_none_the_picture_stays_to_the_bit_and_at_the_whole_the_translation(method):
    image, translator = picture(), method.x_to_y
    assert torch.equal(at_strength(translator, 0.0).translate(image), image)
    assert torch.equal(at_strength(translator, 1.0).translate(image), translator.translate(image))


@given(strengths=st.lists(st.floats(0, 1), min_size=2, max_size=5, unique=True).map(sorted))
def test_the_distance_to_the_source_is_in_proportion_to_the_strength(strengths):
    torch.manual_seed(0)
    image, whole = picture(), picture(1)

    class Fixed:
        def translate(self, images):
            return whole

    distances = [(at_strength(Fixed(), s).translate(image) - image).abs().mean().item() for s in strengths]
    assert distances == sorted(distances)
    assert distances == pytest.approx([s * (whole - image).abs().mean().item() for s in strengths], abs=1e-6)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(method, strength):
    with pytest.raises(UserError, match=r"strength: .* does not lie in 0…1"):
        at_strength(method.x_to_y, strength)


def test_of_adain_it_is_the_alpha():
    method = build(AdaINConfig(encoder="random"))
    content, style = picture(), picture(1)
    bound = method.bind(style)
    for strength in (0.0, 0.3, 1.0):
        expected = method.stylize(content, style, alpha=strength)
        assert torch.equal(at_strength(bound, strength).translate(content), expected)
    assert bound.network.alpha == 1.0  # as it was


def test_of_gatys_it_is_refused_with_the_setting_that_does_it(tmp_path, photo, capsys):
    gatys = write_gatys(tmp_path, steps=1)
    command = ["translate", str(gatys), str(photo), "--style", str(photo), "--out", str(tmp_path)]
    assert main([*command, "--strength", "0.5"]) == 2
    assert "--set style_weight" in capsys.readouterr().err


@pytest.mark.parametrize("tile", [[], ["--tile", "8"]])
def test_the_command_line_knows_it(run, photo, tmp_path, tile):
    def painted(strength: str) -> np.ndarray:
        out = tmp_path / strength
        assert main(["translate", str(run.folder), str(photo), "--out", str(out), "--strength", strength, *tile]) == 0
        return read_picture(out / photo.name).astype(int)

    nothing, half, whole = (painted(strength) for strength in ("0", "0.5", "1"))
    assert np.array_equal(nothing, read_picture(photo))
    assert np.abs(half - (nothing + whole) / 2).max() <= 1
    expected = load(run.folder, "cpu").translator().translate(read(photo))
    assert np.abs(whole - (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5).max() <= 1
