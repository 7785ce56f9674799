"""translate: files and folders in, translated files of the same names, tree and sizes out."""

from pathlib import Path

import numpy as np
import pytest
from folders import files_below
from photos import difference, draw
from PIL import Image
from tifffile import imread

from cyclegan import __version__
from cyclegan.errors import ResourceError, UserError
from cyclegan.images.files import write_raster
from cyclegan.images.raster import Raster
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import read, to_bytes
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options

ORIENTATION = 0x0112  # the EXIF tag
DESCRIPTION = 0x010E


def test_names_and_tree_are_kept_and_none_is_left_out(painter, photos, out):
    names = {f"{i}.png" for i in range(60)} | {"sub/0.png", "sub/deep/er/0.png", "with space/ü.PNG"}
    for name in names:
        draw(photos / name, (4, 4))
    report = translate(painter, [photos], out)
    assert files_below(out).keys() == names
    assert {path.relative_to(out).as_posix() for path in report.done} == names
    assert report.bad == []


@pytest.mark.parametrize("size", [(450, 301), (1, 1), (3, 200)])
def test_any_size_comes_out_as_it_went_in(painter, photos, out, size):
    draw(photos / "photo.png", size)
    translate(painter, [photos], out)
    with Image.open(out / "photo.png") as painting:
        assert (painting.size, painting.mode) == (size, "RGB")


@pytest.mark.parametrize(("to", "direction"), [("painting", "x_to_y"), ("photo", "y_to_x"), (None, "x_to_y")])
def test_a_file_becomes_what_the_network_makes_of_its_image(painter, method, photos, out, to, direction):
    path = draw(photos / "photo.png", (61, 43))
    translate(painter, [path], out, to)
    expected = to_bytes(getattr(method, direction).translate(read(path)))[0].numpy()
    assert difference(read_picture(out / "photo.png"), expected) <= 1
    assert difference(expected, read_picture(path)) > 50


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jpg", "JPEG"),
        (".JPEG", "JPEG"),
        (".png", "PNG"),
        (".webp", "WEBP"),
        (".tif", "TIFF"),
        (".tiff", "TIFF"),
        (".bmp", "BMP"),
    ],
)
def test_every_format_is_written_as_it_was_read(painter, photos, out, suffix, kind):
    path = draw(photos / f"photo{suffix}", (64, 48))
    (target,) = translate(painter, [path], out).done
    with Image.open(target) as painting:
        assert painting.format == kind
    assert target == out / path.name
    assert difference(read_picture(target), np.asarray(painter(path))) <= (40 if kind == "JPEG" else 0)


def test_whatever_cameras_scanners_and_programs_write_is_translated(painter, photos, out):
    ramp = np.linspace(0, 255, 24 * 18).round().reshape(18, 24) * 257
    glass = Image.new("RGBA", (24, 18), (255, 0, 0, 255))
    glass.paste((0, 0, 0, 0), (4, 4, 9, 9))
    Image.new("CMYK", (24, 18), (0, 255, 255, 0)).save(photos / "print.jpg")
    Image.fromarray(ramp.astype(np.uint16)).save(photos / "scan.png")
    glass.quantize().save(photos / "sprite.png")
    report = translate(painter, [photos], out)
    assert [path.name for path in report.done] == ["print.jpg", "scan.png", "sprite.png"]
    for target in report.done:
        with Image.open(target) as painting:
            assert (painting.mode, painting.size) == ("RGBA" if target.name == "sprite.png" else "RGB", (24, 18))
            pixels = np.asarray(painting.convert("RGBA"))
        shown = pixels[..., 3] > 0
        assert difference(pixels[shown][:, :3], np.asarray(painter(photos / target.name))[shown]) <= 40


def test_a_photo_turned_by_exif_is_written_upright(painter, photos, out):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    upright = Image.fromarray(read_picture(draw(photos / "upright.png", (24, 40))))
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "turned.png", exif=exif)
    translate(painter, [photos], out)
    with Image.open(out / "turned.png") as painting:
        assert painting.size == (24, 40)
        assert ORIENTATION not in painting.getexif()
    assert np.array_equal(read_picture(out / "turned.png"), read_picture(out / "upright.png"))


def test_bad_pictures_are_named_and_the_others_done(painter, photos, out):
    for name in ("a.jpg", "c.jpg", "e.png"):
        draw(photos / name)
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:200])
    (photos / "d.png").write_text("not a picture")
    report = translate(painter, [photos], out)
    assert files_below(out).keys() == {"a.jpg", "c.jpg", "e.png"}
    assert len(report.done) == 3
    assert [str(bad).split(":")[0] for bad in report.bad] == [str(photos / "b.jpg"), str(photos / "d.png")]
    assert all("not a readable picture" in str(bad) for bad in report.bad)


def test_a_file_in_a_format_that_is_not_written_is_named(painter, photos, out):
    path = draw(photos / "photo.png").rename(photos / "photo.dat")
    report = translate(painter, [path], out)
    assert report.done == []
    assert "cannot write '.dat'; use one of" in str(report.bad[0])


def test_files_and_folders_can_be_mixed(painter, photos, out):
    draw(photos / "sub" / "a.png")
    single = draw(photos / "b.png")
    translate(painter, [photos / "sub", single], out)
    assert files_below(out).keys() == {"a.png", "b.png"}


def test_a_picture_given_twice_is_translated_once(painter, photos, out, monkeypatch):
    single = draw(photos / "a.png")
    monkeypatch.chdir(photos)
    assert translate(painter, [photos, single, Path("a.png")], out).done == [out / "a.png"]


def test_it_can_be_run_again(painter, photos, out):
    draw(photos / "a.png")
    first = translate(painter, [photos], out)
    assert translate(painter, [photos], out) == first


def test_two_sources_of_one_name_are_refused(painter, photos, out):
    one, two = draw(photos / "one" / "a.png"), draw(photos / "two" / "a.png")
    with pytest.raises(UserError) as caught:
        translate(painter, [photos / "one", photos / "two"], out)
    assert str(caught.value).startswith(f"{one} and {two}: both would become {out / 'a.png'}; give each")
    assert not out.exists()


def test_a_source_is_never_written_over(painter, photos, tmp_path):
    path = draw(photos / "a.png")
    draw(photos / "sub" / "a.png")
    (tmp_path / "link").symlink_to(photos)
    before = path.read_bytes()
    for sources, out in (
        ([photos], photos),
        ([path], photos),
        ([photos], tmp_path / "link"),
        ([photos], photos / "sub"),
    ):
        with pytest.raises(UserError, match=r"a\.png: is a source and would be written over; give another --out"):
            translate(painter, sources, out)
    assert path.read_bytes() == before
    assert files_below(photos).keys() == {"a.png", "sub/a.png"}


def test_nothing_to_translate_is_an_error(painter, photos, out):
    (photos / "notes.txt").touch()
    with pytest.raises(UserError, match=r"photos: no images there; skipped: 1 \.txt; an image ends in one of \.jpg"):
        translate(painter, [photos], out)
    with pytest.raises(UserError, match=r"photo\.jpg: does not exist; give picture files or folders"):
        translate(painter, [photos / "photo.jpg"], out)


def test_a_wrong_side_is_refused_before_anything_is_read(painter, photos, out):
    with pytest.raises(UserError, match=r"'paintin': .* did you mean 'painting'"):
        translate(painter, [photos / "missing"], out, "paintin")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_said(painter, photos, out):
    draw(photos / "photo.png")
    out.mkdir()
    (out / "photo.png").symlink_to("/dev/full")
    with pytest.raises(ResourceError, match=r"photo\.png: cannot be written \(No space left on device\)"):
        translate(painter, [photos], out)


def test_an_output_that_is_a_file_is_refused(painter, photos, out):
    draw(photos / "photo.png")
    out.touch()
    with pytest.raises(UserError, match=r"paintings.photo\.png: cannot be written"):
        translate(painter, [photos], out)


def test_16_bits_become_a_tiff_that_holds_more_than_8(painter, method, photos, out):
    path = draw(photos / "sub" / "photo.jpg", (40, 30))
    report = translate(painter, [photos], out, how=Options(bits=16))
    assert report.done == [out / "sub" / "photo.tif"]
    levels = imread(report.done[0])
    assert (levels.dtype, levels.shape) == (np.uint16, (30, 40, 3))
    expected = method.x_to_y.translate(read(path))[0].permute(1, 2, 0).add(1).div(2).numpy()
    assert np.abs(levels / 65535 - expected).max() < 1e-4  # a level of 8 bits is 4e-3
    assert difference(read_picture(report.done[0]), to_bytes(read(report.done[0]))[0].numpy()) == 0


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("content", [".png", ".tif"])
def test_16_bits_under_a_name_that_has_no_room_for_them_become_8(painter, photos, out, suffix, content):
    deep = np.random.default_rng(0).integers(0, 65536, (24, 18, 3), dtype=np.uint16)
    write_raster(photos / f"deep{content}", Raster(values=deep), "")
    (photos / f"deep{content}").rename(photos / f"deep{suffix}")
    draw(photos / "other.png")
    report = translate(painter, [photos], out)
    assert files_below(out).keys() == {f"deep{suffix}", "other.png"}
    assert report.bad == []
    assert difference(read_picture(out / f"deep{suffix}"), np.asarray(painter(photos / f"deep{suffix}"))) <= 40


def test_two_pictures_that_become_one_tiff_are_refused(painter, photos, out):
    draw(photos / "photo.jpg"), draw(photos / "photo.png")
    with pytest.raises(UserError, match=r"both would become .*photo\.tif"):
        translate(painter, [photos], out, how=Options(bits=16))


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_picture_says_what_made_it(painter, photos, out, name, bits):
    draw(photos / name)
    (painted,) = translate(painter, [photos], out, how=Options(bits=bits)).done
    with Image.open(painted) as picture:
        assert picture.getexif()[DESCRIPTION] == f"cyclegan {__version__}; cyclegan; None, 20 steps"
