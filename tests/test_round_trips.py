"""What comes in goes out the same, through the command line: type, range, channels, size, name, profile."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photos import LAB, SRGB
from PIL import Image, ImageOps
from tifffile import TiffFile, imread, imwrite

from cyclegan.cli import main
from cyclegan.images import png16 as png
from cyclegan.images.files import read_raster, write_raster
from cyclegan.images.pixel_format import RGB
from cyclegan.images.raster import Raster, Tags
from cyclegan.images.rgb8 import read_picture

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture
def painted(save_run, tmp_path) -> Callable[..., Path]:
    """Translates a file by a model of 8-bit RGB, on the command line."""
    run = save_run(tmp_path / "run", domain="photo2painting")

    def paint(path: Path, *options: str) -> Path:
        assert main(["translate", str(run), str(path), "--out", str(tmp_path / "out"), *options]) == 0
        (found,) = [each for each in (tmp_path / "out").iterdir() if each.stem == path.stem]
        return found

    return paint


def waves(channels: int, kind: str = "uint16", size: tuple[int, int] = (60, 70)) -> np.ndarray:
    """Smooth, and with more levels than 8 bits have."""
    y, x = np.mgrid[: size[0], : size[1]]
    wave = np.stack([np.sin(x / (7 + i) + y / (11 - i % 9)) for i in range(channels)], axis=2)
    return ((wave + 1) / 2 * np.iinfo(kind).max).astype(kind)


def write_png(path: Path, pixels: np.ndarray, tags: Tags = Tags()) -> Path:  # noqa: B008
    path.write_bytes(png.encode(pixels, tags, b""))
    return path


def levels(pixels: np.ndarray) -> int:
    return len(np.unique(pixels))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_16_bit_tiff_gives_a_16_bit_tiff(painted, tmp_path, planar):
    pixels = waves(3)
    stored = np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels
    path = tmp_path / "scan.tif"
    imwrite(path, stored, photometric="rgb", planarconfig=planar, resolution=(300, 300), iccprofile=SRGB)
    painting = painted(path)
    assert painting.name == "scan.tif"
    found = imread(painting)
    assert (found.dtype, found.shape) == (np.uint16, pixels.shape)
    assert levels(found) > 2000
    with TiffFile(painting) as file:
        tags = file.pages.first.tags
        assert (tags["InterColorProfile"].value, tags["XResolution"].value) == (SRGB, (300, 1))
        assert tags["ImageDescription"].value.startswith("cyclegan ")


def test_what_a_16_bit_picture_becomes_is_what_its_8_bit_copy_becomes_with_more_levels(painted, tmp_path):
    pixels = waves(3, "uint8")
    imwrite(tmp_path / "deep.tif", pixels.astype(np.uint16) * 257, photometric="rgb")
    Image.fromarray(pixels).save(tmp_path / "flat.png")
    deep, flat = imread(painted(tmp_path / "deep.tif")), read_picture(painted(tmp_path / "flat.png"))
    assert np.abs(deep / 257 - flat).max() < 0.6


def test_a_16_bit_png_gives_a_16_bit_png(painted, tmp_path):
    tags = Tags(icc=SRGB, dpi=(300.0, 300.0))
    painting = painted(write_png(tmp_path / "render.png", waves(3), tags))
    assert png.deep_mode(painting) == "RGB"
    found = png.decode(painting, "RGB")
    assert found.shape == (60, 70, 3)
    assert levels(found) > 2000
    with Image.open(painting) as picture:
        picture.load()
        assert picture.info["icc_profile"] == SRGB
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.getexif()[0x010E].startswith("cyclegan ")


def test_a_16_bit_grey_picture_becomes_rgb_of_16_bits(painted, tmp_path):
    path = tmp_path / "grey.tif"
    imwrite(path, waves(1)[..., 0], photometric="minisblack")
    found = imread(painted(path))
    assert (found.dtype, found.shape) == (np.uint16, (60, 70, 3))
    assert levels(found) > 2000


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_an_rgba_picture_keeps_its_alpha(painted, tmp_path, suffix, bits):
    if suffix == ".webp" and bits == 16:
        return  # there is no such thing
    pixels = waves(4, f"uint{bits}")
    path = tmp_path / f"sprite{suffix}"
    if bits == 8:
        Image.fromarray(pixels).save(path, **{"lossless": True, "exact": True} if suffix == ".webp" else {})
    elif suffix == ".png":
        write_png(path, pixels)
    else:
        imwrite(path, pixels, photometric="rgb", extrasamples=["unassalpha"])
    painting = painted(path)
    if bits == 8:
        with Image.open(painting) as picture:
            assert picture.mode == "RGBA"
            found = np.asarray(picture)
    else:
        found = imread(painting) if suffix == ".tif" else png.decode(painting, "RGBA")
    assert found.dtype == pixels.dtype
    assert np.array_equal(found[..., 3], pixels[..., 3])


def test_a_palette_png_stays_a_png_of_rgb(painted, tmp_path):
    Image.fromarray(waves(3, "uint8")).quantize(16).save(tmp_path / "icon.png")
    with Image.open(painted(tmp_path / "icon.png")) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (70, 60))


def test_a_palette_png_with_transparent_colors_keeps_them_transparent(painted, tmp_path):
    image = Image.fromarray(waves(4, "uint8")[..., :3]).quantize(4)
    image.save(tmp_path / "icon.png", transparency=0)
    with Image.open(tmp_path / "icon.png") as source, Image.open(painted(tmp_path / "icon.png")) as picture:
        assert picture.mode == "RGBA"
        clear = np.asarray(source) == 0
        assert np.array_equal(np.asarray(picture)[..., 3], np.where(clear, 0, 255))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".png", ".tif"])
def test_size_and_format_are_those_of_the_source(painted, tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(waves(3, "uint8", (301, 450))).save(path)
    with Image.open(path) as source, Image.open(painted(path)) as picture:
        assert (picture.format, picture.size, picture.mode) == (source.format, (450, 301), "RGB")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_profile_and_resolution_are_kept(painted, tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(waves(3, "uint8")).save(path, icc_profile=SRGB, dpi=(300, 300))
    with Image.open(painted(path)) as picture:
        assert picture.info["icc_profile"] == SRGB
        assert suffix == ".webp" or picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_profile_of_something_else_is_not_kept(painted, tmp_path):
    Image.fromarray(waves(1, "uint8")[..., 0]).save(tmp_path / "grey.png", icc_profile=LAB)
    with Image.open(painted(tmp_path / "grey.png")) as picture:
        assert (picture.mode, picture.info.get("icc_profile")) == ("RGB", None)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".tif", "16.tif", "16.png"])
def test_orientation_is_applied_and_then_neutral(painted, tmp_path, suffix, orientation):
    pixels = waves(3, "uint16", (40, 24))
    path = tmp_path / f"turned{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if suffix == "16.tif":
        imwrite(path, pixels, photometric="rgb", extratags=[(ORIENTATION, 3, 1, orientation, True)])
    elif suffix == "16.png":
        path.write_bytes(png.encode(pixels, Tags(), exif.tobytes().removeprefix(b"Exif\0\0")))
    else:
        Image.fromarray((pixels >> 8).astype(np.uint8)).save(path, exif=exif)
    values = read_raster(path, RGB).values
    with Image.open(path) as picture:  # which keeps the upper bytes
        turned = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert np.array_equal(values >> 8 if suffix.startswith("16") else values, turned)
    write_raster(tmp_path / "upright.png", Raster(values=values), "")
    painting = painted(path)
    with Image.open(painting) as picture:
        assert picture.size == ((24, 40) if orientation < 5 else (40, 24))
        assert picture.getexif().get(ORIENTATION, 1) == 1
    off = np.abs(read_picture(painting).astype(int) - read_picture(painted(tmp_path / "upright.png")))
    assert off.max() <= (40 if suffix == ".jpg" else 0)


def test_the_bits_can_be_chosen(painted, tmp_path):
    path = write_png(tmp_path / "render.png", waves(4))
    with Image.open(painted(path, "--bits", "8")) as picture:
        assert png.deep_mode(tmp_path / "out" / "render.png") is None
        assert picture.mode == "RGBA"
    (tmp_path / "out" / "render.png").unlink()
    Image.fromarray(waves(3, "uint8")).save(tmp_path / "photo.png")
    assert imread(painted(tmp_path / "photo.png", "--bits", "16")).dtype == np.uint16


def test_floats_have_no_range_that_such_a_model_knows(save_run, tmp_path, capsys):
    imwrite(tmp_path / "depth.tif", np.zeros((20, 20), np.float32))
    run = save_run(tmp_path / "run", domain="photo2painting")
    assert main(["translate", str(run), str(tmp_path / "depth.tif"), "--out", str(tmp_path / "out")]) == 2
    assert "depth.tif: not a readable picture (TIFF of 1 × float32 from 0 to 0; " in capsys.readouterr().err
