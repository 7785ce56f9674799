"""Picture files ↔ 8-bit RGB arrays, whatever a camera, a scanner or a paint program has written."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tifffile import imwrite

from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import BadPictureError, read_picture, write_picture

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)
ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def upright() -> Image.Image:
    """Three pixels wide and two high, with a red pixel at the upper left and a green one at the lower right."""
    picture = Image.new("RGB", (3, 2), "white")
    picture.putpixel((0, 0), RED)
    picture.putpixel((2, 1), GREEN)
    return picture


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp"])
def test_what_was_written_is_read_back_unchanged(tmp_path, noise, suffix):
    write_picture(tmp_path / "deep" / f"noise{suffix}", noise)
    assert np.array_equal(read_picture(tmp_path / "deep" / f"noise{suffix}"), noise)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_jpeg_keeps_a_smooth_picture_within_a_few_levels(tmp_path, suffix):
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (1, 32, 3))
    write_picture(tmp_path / f"ramp{suffix}", ramp)
    assert np.abs(read_picture(tmp_path / f"ramp{suffix}").astype(int) - ramp).max() <= 4


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_picture_of_any_size_survives_the_round_trip(tmp_path_factory, height, width, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("round") / "trip.png"
    write_picture(path, picture)
    assert np.array_equal(read_picture(path), picture)


def test_an_unknown_suffix_is_not_written(tmp_path, noise):
    with pytest.raises(BadPictureError, match=r"cannot write '\.psd'; use one of \.jpg"):
        write_picture(tmp_path / "out" / "noise.psd", noise)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("orientation", "as_stored"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_a_camera_held_sideways_gives_an_upright_picture(tmp_path, orientation, as_stored):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / "turned.png", upright().transpose(as_stored), exif=exif)
    assert np.array_equal(read_picture(path), np.asarray(upright()))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    path = saved(tmp_path / f"print{suffix}", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    assert np.abs(read_picture(path)[4, 4].astype(int) - RED).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix):
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    path = saved(tmp_path / f"scan{suffix}", Image.fromarray(levels))
    assert read_picture(path).tolist() == [[[level] * 3 for level in (0, 1, 128, 255)]]


def test_16_bit_colors_that_pillow_would_mix_are_not_mixed(tmp_path, noise):
    path = tmp_path / "planes.tif"
    imwrite(path, np.moveaxis(noise, 2, 0).astype(np.uint16) * 257, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_picture(path), noise)


def test_a_dark_16_bit_picture_stays_dark(tmp_path):
    path = saved(tmp_path / "night.png", Image.fromarray(np.full((2, 2), 200, dtype=np.uint16)))
    assert read_picture(path).max() == 1


@pytest.mark.parametrize(("highest", "expected"), [(200, 200), (65535, 255)])
def test_32_bit_integers_are_read_by_the_range_they_use(tmp_path, highest, expected):
    path = saved(tmp_path / "long.tif", Image.fromarray(np.array([[0, highest]], dtype=np.int32)))
    assert read_picture(path)[0, :, 0].tolist() == [0, expected]


@pytest.mark.parametrize(
    "pixels", [np.float32([[0, 1]]), np.int32([[-1, 9]]), np.int32([[0, 65536]])], ids=["float", "negative", "beyond"]
)
def test_pixels_without_an_agreed_range_are_refused(tmp_path, pixels):
    path = saved(tmp_path / "measured.tif", Image.fromarray(pixels))
    with pytest.raises(BadPictureError, match=r"measured\.tif.*save it with 8 or 16 bits"):
        read_picture(path)


def test_a_palette_with_alpha_is_laid_on_white(tmp_path):
    glass = Image.new("RGBA", (2, 1), (*RED, 255))
    glass.putpixel((1, 0), (0, 0, 0, 0))
    indexed = glass.quantize()
    assert indexed.mode == "P"
    assert read_picture(saved(tmp_path / "sprite.png", indexed)).tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize(
    ("mode", "color", "options"),
    [
        ("RGBA", (0, 0, 0, 0), {}),
        ("LA", (0, 0), {}),
        ("L", 7, {"transparency": 7}),
        ("RGB", RED, {"transparency": RED}),
    ],
)
def test_what_is_transparent_becomes_white(tmp_path, mode, color, options):
    assert read_picture(saved(tmp_path / "clear.png", Image.new(mode, (1, 1), color), **options)).tolist() == [
        [[255] * 3]
    ]


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "P and one clear", "L and one clear"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_8_bit_pictures_are_read_as_pillow_converts_them(tmp_path, mode, suffix):
    random = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    picture = Image.fromarray(random).quantize(9) if mode.startswith("P") else Image.fromarray(random)
    picture = picture.convert(mode.split()[0])
    try:
        picture.save(tmp_path / f"a{suffix}", **{"transparency": 3} if "clear" in mode else {})
    except (OSError, ValueError):  # the format has no such mode
        return
    with Image.open(tmp_path / f"a{suffix}") as stored:
        if stored.has_transparency_data:
            white = Image.new("RGBA", stored.size, "white")
            expected = Image.alpha_composite(white, stored.convert("RGBA")).convert("RGB")
        else:
            expected = stored.convert("RGB")
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}"), np.asarray(expected))


@pytest.mark.parametrize(("mode", "color"), [("1", 1), ("L", 255), ("P", 0)])
def test_grey_and_palette_become_three_channels(tmp_path, mode, color):
    assert read_picture(saved(tmp_path / "plain.png", Image.new(mode, (4, 3), color))).shape == (3, 4, 3)


def test_the_first_picture_of_a_multi_picture_jpeg_is_read(tmp_path):
    second = [Image.new("RGB", (8, 8), GREEN)]
    path = saved(
        tmp_path / "phone.jpg", Image.new("RGB", (8, 8), RED), format="MPO", save_all=True, append_images=second
    )
    assert np.abs(read_picture(path)[4, 4].astype(int) - RED).max() <= 2


def test_another_format_is_refused_whatever_its_name(tmp_path):
    path = saved(tmp_path / "moving.png", Image.new("L", (4, 4)), format="PPM")
    with pytest.raises(BadPictureError, match=r"moving\.png: .*none of BMP, GIF, JPEG, PNG, TIFF, WEBP"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_of_a_gif_the_first_frame_is_read_whatever_its_name(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    path = saved(tmp_path / f"moving{suffix}", frames[0], format="GIF", save_all=True, append_images=frames[1:])
    assert (read_picture(path) == (255, 0, 0)).all()


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jif", ".JFIF"])
def test_jpeg_has_other_names(tmp_path, noise, suffix):
    write_picture(tmp_path / f"noise{suffix}", noise)
    with Image.open(tmp_path / f"noise{suffix}") as picture:
        assert picture.format == "JPEG"
    assert read_picture(tmp_path / f"noise{suffix}").shape == noise.shape


def test_a_jpeg_named_png_is_read_by_its_content(tmp_path):
    assert read_picture(saved(tmp_path / "really.png", Image.new("RGB", (4, 3)), format="JPEG")).shape == (3, 4, 3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, share):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_picture(tmp_path / f"whole{suffix}", picture)
    data = (tmp_path / f"whole{suffix}").read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadPictureError, match=rf"cut\{suffix}: not a readable picture"):
        read_picture(cut)


@pytest.mark.parametrize(("width", "height"), [(10_000, 6_000), (14_000, 14_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch, width, height):
    path = saved(tmp_path / "huge.png", Image.new("1", (width, height)))
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadPictureError, match=r"huge\.png: .* is more than 50,000,000 pixels; make it smaller"):
        read_picture(path)


@pytest.mark.parametrize("path", [Path("nowhere.png"), Path()], ids=["missing", "a folder"])
def test_what_is_no_file_is_a_bad_picture(path):
    with pytest.raises(BadPictureError, match="not a readable picture"):
        read_picture(path)


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path, noise):
    write_picture(tmp_path / "noise.png", noise)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_picture, [tmp_path / "noise.png"] * 1000))
    assert list(warnings.filters) == before


def test_pictures_are_found_in_the_same_order_everywhere(tmp_path, monkeypatch):
    names = ["b.png", "a.JPG", "10.webp", "9.tif", "sub/c.bmp", "B.jpeg", "sub.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = ["10.webp", "9.tif", "B.jpeg", "a.JPG", "b.png", "sub.png", "sub/c.bmp"]
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == expected

    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listdir(folder)[::-1])
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == expected


def test_what_is_hidden_or_no_picture_is_skipped(tmp_path):
    skipped = [".a.png", ".git/b.png", "__MACOSX/c.png", "sub/._d.jpg", "Thumbs.db", "notes.txt", "e.psd", "f"]
    for name in [*skipped, "kept.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == [tmp_path / "kept.png"]


def test_a_hidden_folder_above_does_not_hide_its_pictures(tmp_path):
    folder = tmp_path / ".cache"
    folder.mkdir()
    (folder / "a.png").touch()
    assert find_images(folder) == [folder / "a.png"]
