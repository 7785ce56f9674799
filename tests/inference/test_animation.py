"""translate with animations and files of several pages: all frames come back, with their timing, alpha and bits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from little import write_gatys
from photos import difference, draw
from PIL import Image, ImageSequence
from tifffile import TiffFile, imwrite

from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.images.frames import count_frames
from cyclegan.images.pillow import MAX_TOTAL_PIXELS
from cyclegan.model.load import load
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options

SUFFIXES = [".gif", ".png", ".webp"]
FORMS = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}


def frame(number: int, mode: str = "RGB", size: tuple[int, int] = (20, 14)) -> Image.Image:
    """A square that moves over a few colors; whole in RGB, on nothing in RGBA."""
    image = Image.new(mode, size, (0, 0, 0, 0) if mode == "RGBA" else (200, 60, 20))
    image.paste((40 * number % 256, 250, 90, 255)[: len(mode)], (number, 2, number + 8, 10))
    return image


def animate(path: Path, count: int = 4, mode: str = "RGB", **options: object) -> Path:
    first, *others = (frame(number, mode) for number in range(count))
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    options = {"duration": [50, 100, 70, 200][:count], "loop": 3, **lossless, **options}
    first.save(path, FORMS[path.suffix], save_all=True, append_images=others, **options)
    return path


def shown(path: Path) -> list[tuple[np.ndarray, float]]:
    """Every frame as a viewer shows it on white, and for how many milliseconds."""
    frames = []
    with Image.open(path) as animation:
        for image in ImageSequence.Iterator(animation):
            frames.append((on_white(image), image.info.get("duration", 0)))
    return frames


def on_white(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return np.asarray(white)[..., :3]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(SUFFIXES),
    mode=st.sampled_from(["RGB", "RGBA"]),
    loop=st.sampled_from([0, 1, 7]),
    durations=st.lists(st.integers(1, 90).map(lambda n: 10 * n), min_size=2, max_size=5),
)
def test_at_no_strength_an_animation_comes_back_as_it_was(painter, tmp_path, suffix, mode, loop, durations):
    source = animate(tmp_path / f"a{suffix}", len(durations), mode, loop=loop, duration=durations)
    (target,) = translate(painter, [source], tmp_path / "out", how=Options(strength=0.0)).done
    with Image.open(source) as before, Image.open(target) as after:
        assert (after.format, after.size, after.n_frames) == (before.format, before.size, len(durations))
        assert after.info["loop"] == before.info["loop"]
    for (old, ms), (new, new_ms) in zip(shown(source), shown(target), strict=True):
        assert np.array_equal(old, new)
        assert new_ms == ms


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_frame_is_translated(painter, photos, out, suffix):
    source = animate(photos / f"a{suffix}")
    (target,) = translate(painter, [photos], out).done
    assert target.name == source.name
    for (old, ms), (new, new_ms) in zip(shown(source), shown(target), strict=True):
        assert difference(old, new) > 20
        assert new_ms == ms


def test_what_does_not_change_in_the_source_does_not_flicker(painter, photos, out):
    first, *others = (frame(number, size=(120, 16)) for number in range(4))
    first.save(photos / "a.png", save_all=True, append_images=others, duration=50)
    translate(painter, [photos], out)
    corners = [pixels[-1, -1] for pixels, _ in shown(out / "a.png")]
    assert all(difference(corner, corners[0]) == 0 for corner in corners)


def test_tiles_and_batches_change_no_frame(painter, photos, out):
    translate(painter, [animate(photos / "a.png")], out / "one")
    translate(painter, [photos / "a.png"], out / "tiles", how=Options(tile=16))
    translate(painter, [photos / "a.png"], out / "batch", how=Options(batch=3))
    for other in ("tiles", "batch"):
        for (one, _), (two, _) in zip(shown(out / "one/a.png"), shown(out / other / "a.png"), strict=True):
            assert difference(one, two) <= 1


def test_the_still_image_of_an_apng_stays_apart_from_its_frames(painter, photos, out):
    source = animate(photos / "a.png", default_image=True, duration=[100, 70, 200])
    translate(painter, [source], out, how=Options(strength=0.0))
    with Image.open(out / "a.png") as after:
        assert (after.n_frames, after.info["default_image"]) == (4, True)
        after.seek(3)
        assert after.info["duration"] == 200


def test_an_animation_says_what_made_it(painter, photos, out):
    for suffix in SUFFIXES:
        translate(painter, [animate(photos / f"a{suffix}")], out)
    with Image.open(out / "a.gif") as gif:
        assert gif.info["comment"].decode() == painter.signature
    for suffix in (".png", ".webp"):
        with Image.open(out / f"a{suffix}") as image:
            assert image.getexif()[0x010E] == painter.signature


def test_a_damaged_animation_is_named_and_leaves_nothing(painter, photos, out):
    cut = animate(photos / "cut.png")
    cut.write_bytes(cut.read_bytes()[:-60])
    animate(photos / "whole.gif")
    report = translate(painter, [photos], out)
    assert [path.name for path in out.iterdir()] == ["whole.gif"]
    assert str(report.bad[0]).startswith(f"{cut}: not a readable picture")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_animation_never_becomes_a_still_image(painter, tmp_path, suffix):
    content = animate(tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / "in").mkdir()
    for at in range(100, len(content), 20):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        (tmp_path / "in" / f"{at}{suffix}").write_bytes(broken)
    report = translate(painter, [tmp_path / "in"], tmp_path / "out")
    assert len(report.done) + len(report.bad) == len(list((tmp_path / "in").iterdir()))
    for path in report.done:
        assert count_frames(path) > 1
    assert report.bad


def test_too_many_frames_for_the_memory_are_refused(painter, photos, out, monkeypatch):
    monkeypatch.setattr("cyclegan.images.pillow.MAX_TOTAL_PIXELS", 1000)
    (bad,) = translate(painter, [animate(photos / "a.gif")], out).bad
    assert "the sum of 4 frames of 20×14 is more than 1,000 pixels; make a film of them" in str(bad)
    assert MAX_TOTAL_PIXELS > 100 * 1920 * 1080


def test_pages_come_back_with_their_sizes_bits_and_alpha(painter, photos, out):
    random = np.random.default_rng(0)
    pages = [
        random.integers(0, 65536, (9, 12, 3), dtype=np.uint16),
        random.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        np.dstack([random.integers(0, 256, (6, 6, 3), dtype=np.uint8), np.full((6, 6), 255, np.uint8)]),
    ]
    pages[2][0, 0] = (255, 255, 255, 0)
    for number, page in enumerate(pages):
        extra = {"extrasamples": ["unassalpha"]} if page.shape[2] == 4 else {}
        imwrite(photos / "scan.tif", page, photometric="rgb", metadata=None, append=number > 0, **extra)
    (target,) = translate(painter, [photos], out, how=Options(strength=0.0)).done
    with TiffFile(target) as file:
        assert [page.asarray().tolist() for page in file.pages] == [page.tolist() for page in pages]
    translate(painter, [photos], out / "whole")
    with TiffFile(out / "whole" / "scan.tif") as file:
        assert [page.asarray().shape for page in file.pages] == [page.shape for page in pages]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_pages_are_pages_and_not_the_channels_of_a_color_image(painter, photos, out, depth):
    grey = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (3, 8, 10)).astype(depth)
    imwrite(photos / "stack.tif", grey, photometric="minisblack")
    (target,) = translate(painter, [photos], out, how=Options(strength=0.0)).done
    with TiffFile(target) as file:
        assert len(file.pages) == 3
        for page, values in zip(file.pages, grey, strict=True):
            assert np.array_equal(page.asarray(), np.dstack(3 * [values]))


def test_thumbnails_are_no_pages(painter, photos, out):
    page = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    for number, kind in enumerate((0, 1)):
        imwrite(photos / "a.tif", page, subfiletype=kind, metadata=None, append=number > 0)
    assert count_frames(photos / "a.tif") == 1
    translate(painter, [photos], out)
    with TiffFile(out / "a.tif") as file:
        assert len(file.pages) == 1


def test_the_previews_of_a_telephone_are_no_frames(photos):
    frame(0).save(photos / "a.jpg", "MPO", save_all=True, append_images=[frame(1)])
    assert count_frames(photos / "a.jpg") == 1


def test_what_gets_lost_is_said(run, photos, out, capsys):
    animate(photos / "a.gif").rename(photos / "b.jpg")
    animate(photos / "a.gif")
    assert main(["translate", str(run.folder), str(photos / "b.jpg"), "--out", str(out)]) == 0
    assert (
        f"note: only the first of 4 images is translated, for want of room: {photos / 'b.jpg'}"
        in capsys.readouterr().out
    )
    assert main(["translate", str(run.folder), str(photos / "a.gif"), "--bits", "16", "--out", str(out)]) == 0
    assert f"note: 4 frames become pages of a.tif, without durations: {photos / 'a.gif'}" in capsys.readouterr().out
    with TiffFile(out / "a.tif") as file:
        assert [str(page.dtype) for page in file.pages] == 4 * ["uint16"]


def test_a_still_gif_keeps_its_transparency(painter, photos, out):
    frame(0, "RGBA").save(photos / "a.gif")
    translate(painter, [photos], out, how=Options(strength=0.0))
    with Image.open(out / "a.gif") as after, Image.open(photos / "a.gif") as before:
        assert np.array_equal(on_white(after), on_white(before))
        assert after.convert("RGBA").getchannel("A").getextrema() == (0, 255)


def test_snapshots_of_an_animation_are_refused(photos, out, tmp_path):
    loaded = load(write_gatys(tmp_path, steps=4), "cpu", [draw(tmp_path / "style.png", (32, 32))])
    with pytest.raises(UserError, match=r"--every: .*a\.gif has more than one frame; leave --every out"):
        translate(loaded, [animate(photos / "a.gif")], out, how=Options(every=2))


def test_the_check_counts_files_with_more_frames(photos, capsys):
    animate(photos / "a.gif")
    draw(photos / "b.png")
    assert main(["data", "check", str(photos)]) == 0
    assert "1 picture of 2 in photos with more than one frame or page; training reads the first" in (
        capsys.readouterr().out
    )
