"""The studio, without the web: names instead of paths, one picture at a time, given up when nobody waits."""

import io
import threading
from threading import Event

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little import write_adain, write_gatys
from photos import LAB, SRGB
from PIL import Image
from serving import PHOTO, model, pixels, png, studio

from cyclegan.errors import UserError
from cyclegan.images import blend, from_bytes
from cyclegan.inference import studio as studios
from cyclegan.inference.export import export
from cyclegan.inference.load import load
from cyclegan.inference.studio import Order, Studio, TooLongError, named, read_examples
from cyclegan.pictures import DESCRIPTION, read_picture, write_picture


def paint(offered: Studio, **order: object) -> np.ndarray:
    return pixels(offered.paint(Order(picture=png(PHOTO), **order), Event()))


def test_a_picture_comes_back_as_the_library_would_translate_it(run):
    painter = load(run.folder, device="cpu")
    offered = studio(painter)
    for to in (None, "painting", "photo"):
        assert np.array_equal(paint(offered, to=to), np.asarray(painter(Image.fromarray(PHOTO), to=to)))


@pytest.mark.parametrize("sides", [("painting",), ("photo",), ("photo", "painting")])
def test_a_model_is_offered_in_the_directions_that_it_has_learned(sides, tmp_path, run):
    file = run.file
    if len(sides) == 1:
        file = tmp_path / "one.safetensors"
        export(run.folder, file, to=sides[0])
    offered = studio(load(file, device="cpu"))
    ways = [(way["from"], way["to"]) for way in offered.describe()[0]["directions"]]
    both = [("photo", "painting"), ("painting", "photo")]
    assert ways == [way for way in both if way[1] in sides]
    assert np.array_equal(paint(offered, to=ways[0][1]), paint(offered))


def test_it_says_in_the_file_what_made_it():
    content = studio().paint(Order(picture=png(PHOTO)), Event())
    assert Image.open(io.BytesIO(content)).getexif()[DESCRIPTION] == model().signature


def profile_in(content: bytes) -> bytes | None:
    return Image.open(io.BytesIO(content)).info.get("icc_profile")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_answer_is_in_the_colors_of_the_picture(kind, strength):
    answers = {
        profile: profile_in(
            studio().paint(Order(picture=png(PHOTO, kind, icc_profile=profile), strength=strength), Event())
        )
        for profile in (SRGB, LAB, None)
    }
    assert answers == {SRGB: SRGB, LAB: None, None: None}  # RGB pixels are not in the colors of LAB


def test_examples_keep_their_colors(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(png(PHOTO, "JPEG", icc_profile=SRGB))
    assert [profile_in(content) for content in read_examples(tmp_path).values()] == [SRGB]


def test_strength_goes_from_the_picture_to_the_translation():
    assert np.array_equal(paint(studio(), strength=0.0), PHOTO)
    assert np.array_equal(paint(studio(), strength=1.0), 255 - PHOTO)
    assert np.abs(paint(studio(), strength=0.5).astype(int) - 127.5).max() <= 0.5


@given(strength=st.floats(0, 1))
def test_a_blend_lies_between_its_ends(strength):
    source, translated = from_bytes(PHOTO), from_bytes(PHOTO[::-1])
    mixed = blend(source, translated, strength)
    assert (mixed >= source.minimum(translated) - 1e-6).all()
    assert (mixed <= source.maximum(translated) + 1e-6).all()
    assert blend(source, translated, 0.0).equal(source)
    assert blend(source, translated, 1.0).equal(translated)


def test_no_more_is_worked_on_than_the_size_allows():
    assert paint(studio(size=22)).shape == (15, 22, 3)


def test_a_line_of_pixels_is_still_a_picture_when_it_is_made_smaller():
    assert pixels(studio(size=22).paint(Order(picture=png(np.zeros((1, 5000, 3), np.uint8))), Event())).shape == (
        1,
        22,
        3,
    )


def test_a_picture_that_the_browser_cannot_show_is_read_at_strength_0():
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(deep).save(file, "TIFF")
    shown = pixels(studio().paint(Order(picture=file.getvalue(), strength=0.0), Event()))
    assert np.abs(shown[..., 0] - deep / 257).max() <= 0.5


def test_a_method_that_paints_after_examples_is_given_one_with_each_picture(tmp_path):
    gatys = load(write_gatys(tmp_path, steps=4), device="cpu")
    with pytest.raises(UserError, match="paints after an example; give one with --style"):
        gatys.translator()
    offered = studio(gatys)
    assert offered.describe()[0]["style"]
    assert offered.describe()[0]["directions"] == [{"from": "content", "to": "style"}]
    dark, light = (paint(offered, style=png(np.full_like(PHOTO, level))) for level in (20, 230))
    assert not np.array_equal(dark, light)
    with pytest.raises(UserError, match="style: this model paints after an example"):
        paint(offered)
    with pytest.raises(UserError, match="style: this model has learned to translate to painting"):
        paint(offered, model="tiny/other", style=png(PHOTO))


def test_adain_paints_after_the_example_that_comes_with_the_picture(tmp_path):
    file, dark, light = write_adain(tmp_path), tmp_path / "dark.png", tmp_path / "light.png"
    torch.manual_seed(0)
    offered = studio(load(file, device="cpu"))
    assert offered.describe()[0]["style"]
    painted = []
    for style in (dark, light):
        write_picture(style, PHOTO // 8 if style == dark else 255 - PHOTO)
        painted.append(paint(offered, style=style.read_bytes()))
        after = offered.models["tiny/inverts"].after(from_bytes(read_picture(style)))
        assert np.array_equal(painted[-1], np.asarray(after(Image.fromarray(PHOTO))))
    assert not np.array_equal(*painted)
    half = paint(offered, style=light.read_bytes(), strength=0.5)
    assert not np.array_equal(half, painted[-1])


@pytest.mark.parametrize("reason", ["late", "gone", "closing"])
def test_a_descent_is_given_up_when_it_is_late_or_nobody_waits(reason, tmp_path, monkeypatch):
    offered, gone = studio(load(write_gatys(tmp_path, steps=100_000), device="cpu")), Event()
    if reason == "late":
        monkeypatch.setattr(studios, "SECONDS", 0.2)
    else:
        threading.Timer(0.2, (gone if reason == "gone" else offered.closing).set).start()
    with pytest.raises(TooLongError, match="serve with a smaller --size" if reason == "late" else "given up"):
        offered.paint(Order(picture=png(PHOTO), style=png(PHOTO)), gone)


def test_models_are_called_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    runs = [tmp_path / "runs" / domain / "cyclegan" for domain in ("photo2monet", "photo2tint")]
    assert list(named(runs)) == ["photo2monet/cyclegan", "photo2tint/cyclegan"]
    steps = [run / "checkpoints" / "step-10" for run in runs]
    assert next(iter(named(steps))) == "photo2monet/cyclegan/checkpoints/step-10"
    (tmp_path / "fast.yaml").touch()
    assert list(named([tmp_path / "fast.yaml"])) == [f"{tmp_path.name}/fast"]
    with pytest.raises(UserError, match="the same twice"):
        named([runs[0], runs[0]])


def test_examples_are_the_first_pictures_of_a_folder_or_those_of_scikit_image(tmp_path):
    write_picture(tmp_path / "deep" / "boat.tif", PHOTO)
    examples = read_examples(tmp_path, size=22)
    assert list(examples) == ["1-boat"]
    assert pixels(examples["1-boat"]).shape == (15, 22, 3)
    assert {"coffee", "chelsea"} <= read_examples(None).keys()
    with pytest.raises(UserError, match="no such folder"):
        read_examples(tmp_path / "empty")
