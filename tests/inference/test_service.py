"""The service, without the web: names instead of paths, one picture at a time, given up when nobody waits."""

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
from serving import PHOTO, model, pixels, png, service

from cyclegan.errors import UserError
from cyclegan.export.graph_files import export
from cyclegan.images.rgb8 import DESCRIPTION, read_picture, write_picture
from cyclegan.images.tensors import blend, from_bytes
from cyclegan.model.load import load
from cyclegan.serve import service as studios
from cyclegan.serve.service import Service, TooLongError, TranslationRequest, named, read_examples, read_styles
from cyclegan.serve.uploads import LEAST, fitted_shape
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options


def paint(offered: Service, **order: object) -> np.ndarray:
    return pixels(offered.translate(TranslationRequest(picture=png(PHOTO), **order), Event()).content)


def test_a_picture_comes_back_as_the_library_would_translate_it(run):
    painter = load(run.folder, device="cpu")
    offered = service(painter)
    for to in (None, "painting", "photo"):
        assert np.array_equal(paint(offered, to=to), np.asarray(painter(Image.fromarray(PHOTO), to=to)))


@pytest.mark.parametrize("sides", [("painting",), ("photo",), ("photo", "painting")])
def test_a_model_is_offered_in_the_directions_that_it_has_learned(sides, tmp_path, run):
    file = run.file
    if len(sides) == 1:
        file = tmp_path / "one.safetensors"
        export(run.folder, file, to=sides[0])
    offered = service(load(file, device="cpu"))
    ways = [(way["from"], way["to"]) for way in offered.describe()[0]["directions"]]
    both = [("photo", "painting"), ("painting", "photo")]
    assert ways == [way for way in both if way[1] in sides]
    assert np.array_equal(paint(offered, to=ways[0][1]), paint(offered))


def test_it_says_in_the_file_what_made_it():
    content = service().translate(TranslationRequest(picture=png(PHOTO)), Event()).content
    assert Image.open(io.BytesIO(content)).getexif()[DESCRIPTION] == model().signature


def profile_in(content: bytes) -> bytes | None:
    return Image.open(io.BytesIO(content)).info.get("icc_profile")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_answer_is_in_the_colors_of_the_picture(kind, strength):
    answers = {
        profile: profile_in(
            service()
            .translate(TranslationRequest(picture=png(PHOTO, kind, icc_profile=profile), strength=strength), Event())
            .content
        )
        for profile in (SRGB, LAB, None)
    }
    assert answers == {SRGB: SRGB, LAB: None, None: None}  # RGB pixels are not in the colors of LAB


def test_examples_keep_their_colors(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(png(PHOTO, "JPEG", icc_profile=SRGB))
    assert [profile_in(content) for content in read_examples(tmp_path).values()] == [SRGB]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_alpha_comes_back_as_the_library_gives_it(kind, strength, tmp_path):
    alpha = np.resize(np.arange(256, dtype=np.uint8), PHOTO.shape[:2])
    content = png(np.dstack([PHOTO, alpha]), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    answered = pixels(service().translate(TranslationRequest(picture=content, strength=strength), Event()).content)
    (tmp_path / "clear").with_suffix(f".{kind.lower()}").write_bytes(content)
    translate(model(), [tmp_path], tmp_path / "out", "painting", Options(strength=strength))
    assert np.array_equal(answered, np.asarray(Image.open(next((tmp_path / "out").iterdir()))))
    assert np.array_equal(answered[..., 3], alpha)
    if strength == 0:
        assert np.array_equal(answered[..., :3], PHOTO)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_alpha_of_all_modes_comes_back_when_an_image_is_reduced(mode):
    """Of modes without alpha by one value that is transparent."""
    right = np.arange(44) >= 22
    opaque = np.broadcast_to(255 * right, (30, 44)).astype(np.uint8)
    clear = Image.fromarray(opaque, "P") if mode == "P" else Image.fromarray(opaque).convert(mode)
    if mode == "P":
        clear.putpalette([200, 100, 50] * 256)
    if "A" in mode:
        clear.putalpha(Image.fromarray(opaque))
    key = {"L": 0, "P": 0, "RGB": (0, 0, 0)}.get(mode)
    file = io.BytesIO()
    clear.save(file, "PNG", **({} if key is None else {"transparency": key}))
    answered = pixels(service(size=22).translate(TranslationRequest(picture=file.getvalue()), Event()).content)
    assert answered.shape == (15, 22, 4)
    assert (answered[:, :9, 3] < 8).all()
    assert (answered[:, 13:, 3] > 247).all()


def test_strength_goes_from_the_picture_to_the_translation():
    assert np.array_equal(paint(service(), strength=0.0), PHOTO)
    assert np.array_equal(paint(service(), strength=1.0), 255 - PHOTO)
    assert np.abs(paint(service(), strength=0.5).astype(int) - 127.5).max() <= 0.5


@given(strength=st.floats(0, 1))
def test_a_blend_lies_between_its_ends(strength):
    source, translated = from_bytes(PHOTO), from_bytes(PHOTO[::-1])
    mixed = blend(source, translated, strength)
    assert (mixed >= source.minimum(translated) - 1e-6).all()
    assert (mixed <= source.maximum(translated) + 1e-6).all()
    assert blend(source, translated, 0.0).equal(source)
    assert blend(source, translated, 1.0).equal(translated)


def test_no_more_is_worked_on_than_the_size_allows():
    assert paint(service(size=22)).shape == (15, 22, 3)


@given(height=st.integers(1, 60_000), width=st.integers(1, 60_000), size=st.sampled_from([22, 64, 384, 1024]))
def test_thin_images_keep_a_shorter_side_that_can_be_seen_and_the_work_stays_bounded(height, width, size):
    (shorter, longer), least = sorted((height, width)), min(LEAST, size)
    less_high, less_wide = fitted_shape(height, width, size)
    less_short, less_long = sorted((less_high, less_wide))
    assert (less_high < less_wide) <= (height < width)  # upright stays upright
    assert max(less_short, least) * less_long <= size * size + longer
    if longer <= size:
        assert (less_high, less_wide) == (height, width)
    elif longer * least <= size * size:  # nothing but the work limits it
        assert less_short >= min(shorter, least)
    assert abs(less_short - less_long * shorter / longer) <= 1  # the aspect


def test_what_is_left_out_of_an_upload_is_noted():
    def note(content: bytes, size: int = 22) -> str:
        return service(size=size).translate(TranslationRequest(picture=content), Event()).note

    frames = [Image.fromarray(np.roll(PHOTO, shift, axis=0)) for shift in (0, 9, 18)]
    for kind, what in (("GIF", "frames"), ("WEBP", "frames"), ("PNG", "frames"), ("TIFF", "pages")):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        assert note(file.getvalue(), size=64) == f"first of 3 {what}"
        assert note(file.getvalue()) == f"first of 3 {what}; reduced from 44x30 to 22x15"
    assert note(png(np.zeros((2000, 8, 3), np.uint8)), size=1024) == ""
    assert note(png(np.zeros((30, 44), np.uint16)), size=64) == "reduced from 16 bits to 8"
    assert note(png(PHOTO), size=64) == ""


def test_a_line_of_pixels_is_still_a_picture_when_it_is_made_smaller():
    line = png(np.zeros((1, 5000, 3), np.uint8))
    assert pixels(service(size=22).translate(TranslationRequest(picture=line), Event()).content).shape == (1, 22, 3)


def test_a_picture_that_the_browser_cannot_show_is_read_at_strength_0():
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(deep).save(file, "TIFF")
    shown = pixels(service().translate(TranslationRequest(picture=file.getvalue(), strength=0.0), Event()).content)
    assert np.abs(shown[..., 0] - deep / 257).max() <= 0.5


def test_a_method_that_paints_after_examples_is_given_one_with_each_picture(tmp_path):
    gatys = load(write_gatys(tmp_path, steps=4), device="cpu")
    with pytest.raises(UserError, match="needs a style image; give one with --style"):
        gatys.translator()
    offered = service(gatys)
    assert offered.describe()[0]["style"]
    assert offered.describe()[0]["directions"] == [{"from": "content", "to": "style"}]
    dark, light = (paint(offered, style=png(np.full_like(PHOTO, level))) for level in (20, 230))
    assert not np.array_equal(dark, light)
    with pytest.raises(UserError, match="style: this model needs a style image"):
        paint(offered)
    with pytest.raises(UserError, match="style: this model has learned to translate to painting"):
        paint(offered, model="tiny/other", style=png(PHOTO))


def test_adain_paints_after_the_example_that_comes_with_the_picture(tmp_path):
    file, dark, light = write_adain(tmp_path), tmp_path / "dark.png", tmp_path / "light.png"
    torch.manual_seed(0)
    offered = service(load(file, device="cpu"))
    assert offered.describe()[0]["style"]
    painted = []
    for style in (dark, light):
        write_picture(style, PHOTO // 8 if style == dark else 255 - PHOTO)
        painted.append(paint(offered, style=style.read_bytes()))
        after = offered.models["tiny/inverts"].with_style(from_bytes(read_picture(style)))
        assert np.array_equal(painted[-1], np.asarray(after(Image.fromarray(PHOTO))))
    assert not np.array_equal(*painted)
    half = paint(offered, style=light.read_bytes(), strength=0.5)
    assert not np.array_equal(half, painted[-1])


@pytest.mark.parametrize("reason", ["late", "gone", "closing"])
def test_a_descent_is_given_up_when_it_is_late_or_nobody_waits(reason, tmp_path, monkeypatch):
    offered, gone = service(load(write_gatys(tmp_path, steps=100_000), device="cpu")), Event()
    if reason == "late":
        monkeypatch.setattr(studios, "SECONDS", 0.2)
    else:
        threading.Timer(0.2, (gone if reason == "gone" else offered.closing).set).start()
    with pytest.raises(TooLongError, match="serve with a smaller --size" if reason == "late" else "given up"):
        offered.translate(TranslationRequest(picture=png(PHOTO), style=png(PHOTO)), gone)


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
    assert list(read_styles(tmp_path, size=22)) == ["1-boat"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images there"):
        read_examples(tmp_path / "empty")


def test_styles_are_other_images_than_the_examples():
    examples, styles = read_examples(None), read_styles(None)
    assert len(styles) >= 5
    assert not set(styles.values()) & set(examples.values())
    assert len(set(styles.values())) == len(styles)
    assert all(min(pixels(content).shape[:2]) >= 256 for content in styles.values())


def test_examples_keep_their_alpha(tmp_path):
    (tmp_path / "clear.png").write_bytes(png(np.dstack([PHOTO, PHOTO[..., 0]])))
    (example,) = read_examples(tmp_path).values()
    assert np.array_equal(pixels(example), np.dstack([PHOTO, PHOTO[..., 0]]))
