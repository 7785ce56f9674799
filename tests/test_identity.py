"""A translation of strength 0 gives every file back: pixels, alpha, bits, size, profile, upright; losses are said."""

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from photos import SRGB
from PIL import Image, features
from tifffile import imread, imwrite

from cyclegan.cli import main
from cyclegan.images import png16 as png
from cyclegan.images.files import encode_raster, read_raster
from cyclegan.images.frames import count_frames, read_frames
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.raster import Raster, Tags, upright
from cyclegan.images.rgb8 import BadPictureError, read_picture, write_picture
from cyclegan.model.source_image import FormatPair, SourceImage, finish, read_source, write_translation

ORIENTATION = 0x0112  # the EXIF tag
MODES = {"L": (1, False), "LA": (1, True), "RGB": (3, False), "RGBA": (3, True), "P": (3, True)}  # channels, alpha


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def pixels_of(mode: str, bits: int, seed: int = 0) -> np.ndarray:
    """(h, w, 4), as it is to be seen: noise with every opacity from none to full, few colors of a palette."""
    random, (channels, alpha) = np.random.default_rng(seed), MODES[mode]
    kind = np.dtype(f"uint{bits}")
    color = random.integers(0, 2**bits, (5, 8, channels), dtype=kind)
    if mode == "P":
        color = np.array([[0, 10, 255], [9, 9, 9], [200, 0, 40]], kind)[random.integers(0, 3, (5, 8))]
    clear = random.integers(0, 2**bits, (5, 8), dtype=kind)
    clear[0], clear[1] = 0, 2**bits - 1
    if mode == "P":
        clear = np.where((color == [9, 9, 9]).all(axis=2), 0, 255).astype(kind)
    color = color if channels == 3 else color.repeat(3, axis=2)
    return np.dstack([color, clear if alpha else np.full_like(clear, 2**bits - 1)])


def stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What has to lie in a file of this orientation."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    return upright(pixels, back)


def save(path: Path, pixels: np.ndarray, mode: str, orientation: int = 1) -> Path:
    """(h, w, 4) as a file of a mode, by Pillow, tifffile or chunks."""
    turned, form = stored(pixels, orientation), path.suffix
    channels = {"L": [0], "LA": [0, 3], "RGB": [0, 1, 2]}.get(mode, [0, 1, 2, 3])
    values = np.ascontiguousarray(turned[..., channels])
    if form == ".tif" and mode != "P":
        how = {"extrasamples": ["unassalpha"]} if len(channels) in (2, 4) else {}
        how |= {"planarconfig": "contig"} if len(channels) > 1 else {}
        kind = "rgb" if len(channels) > 2 else "minisblack"
        tags = [(ORIENTATION, 3, 1, orientation, True)]
        imwrite(path, values.squeeze(2) if mode == "L" else values, photometric=kind, extratags=tags, **how)
    elif values.dtype == np.uint16:
        exif = exif_of(orientation).tobytes().removeprefix(b"Exif\0\0")
        path.write_bytes(png.encode(values, Tags(), exif))
    else:
        picture = Image.fromarray(values.squeeze(2) if mode == "L" else values)
        picture = picture.quantize() if mode == "P" and form != ".gif" else picture
        more = {"exif": exif_of(orientation)} if form not in (".bmp", ".gif") else {}
        picture.save(path, **more, **({"lossless": True, "exact": True} if form == ".webp" else {}))
    return path


def seen(path: Path) -> np.ndarray:
    """(h, w, 4) of a file."""
    raster = read_raster(path, RGB)
    opaque = np.full(raster.values.shape[:2], np.iinfo(raster.values.dtype).max, raster.values.dtype)
    return np.dstack([raster.values, opaque if raster.alpha is None else raster.alpha])


FORMATS = {
    ".png": ("L", "LA", "RGB", "RGBA", "P"),
    ".tif": ("L", "LA", "RGB", "RGBA"),
    ".webp": ("RGB", "RGBA"),
    ".bmp": ("L", "RGB"),
    ".gif": ("L", "RGB", "P"),
}
FILES = [
    (suffix, bits, mode, orientation)
    for suffix, modes in FORMATS.items()
    for bits in ((8, 16) if suffix in (".png", ".tif") else (8,))
    for mode in modes
    for orientation in (range(1, 9) if suffix not in (".bmp", ".gif") else (1,))
    if (mode, bits) != ("P", 16)
]


@pytest.fixture
def translated(save_run, tmp_path) -> Callable[..., Path]:
    """Translates a folder at strength 0 by the command line; gives that of the translations."""
    run = save_run(tmp_path / "run", domain="photo2painting")

    def translate(folder: Path) -> Path:
        out = tmp_path / "out"
        assert main(["translate", str(run), str(folder), "--out", str(out), "--strength", "0"]) == 0
        return out

    return translate


def test_every_format_depth_mode_and_orientation_is_given_back_exactly(translated, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    expected = {}
    for suffix, bits, mode, orientation in FILES:
        path = folder / f"{bits}-{mode}-{orientation}-{suffix[1:]}{suffix}"
        expected[path.name] = pixels_of(mode, bits, orientation)
        save(path, expected[path.name], mode, orientation)
    out = translated(folder)
    assert "lost" not in capsys.readouterr().out
    for name, pixels in expected.items():
        found = seen(out / name)
        assert found.dtype == pixels.dtype, name
        assert np.array_equal(found[..., 3], pixels[..., 3]), name
        shown = pixels[..., 3] > 0 if name.endswith(".gif") else ...  # whose transparent pixels have no color
        assert np.array_equal(found[shown], pixels[shown]), name


@pytest.mark.parametrize("bits", [8, 16])
def test_colors_that_a_tiff_has_multiplied_by_alpha_are_given_back_so(translated, tmp_path, bits):
    pixels = pixels_of("RGBA", bits)
    pixels[..., :3] = (pixels[..., :3] * (pixels[..., 3:] / (2**bits - 1))).round()
    (tmp_path / "in").mkdir()
    imwrite(tmp_path / "in" / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"], iccprofile=SRGB)
    found = imread(translated(tmp_path / "in") / "a.tif")
    assert np.array_equal(found, pixels)
    with Image.open(tmp_path / "out" / "a.tif") as picture:
        assert picture.info["icc_profile"] == SRGB
        assert picture.tag_v2[338] == (1,)


def with_key(content: bytes, key: tuple[int, ...]) -> bytes:
    """A PNG file in which this color is transparent."""
    data = b"tRNS" + struct.pack(f">{len(key)}H", *key)
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    at = content.index(b"IDAT") - 4
    return content[:at] + chunk + content[at:]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_transparent_color_of_a_16_bit_png_is_kept_as_alpha(translated, tmp_path, mode):
    pixels = pixels_of(mode, 16)
    pixels[2, 3, 3] = 0
    pixels[4, 4, :3] = pixels[2, 3, :3] ^ 1  # differs in its lower byte only
    path = save(tmp_path / "a.png", pixels, mode)
    path.write_bytes(with_key(path.read_bytes(), tuple(pixels[2, 3, : 1 if mode == "L" else 3])))
    (tmp_path / "in").mkdir()
    path.rename(tmp_path / "in" / "a.png")
    assert np.array_equal(seen(translated(tmp_path / "in") / "a.png"), pixels)
    assert read_picture(tmp_path / "in" / "a.png")[2, 3].tolist() == [255] * 3


def test_one_transparent_grey_of_a_4_bit_png_is_transparent(tmp_path):
    rows = zlib.compress(b"\0\x1f\x53")  # 1, 15, 5, 3
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 4, 1, 4, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    content = png.SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    (tmp_path / "a.png").write_bytes(with_key(content, (5,)))
    raster = read_raster(tmp_path / "a.png", PixelFormat(channels=1))
    assert raster.values[0, :, 0].tolist() == [17, 255, 85, 51]
    assert raster.alpha[0].tolist() == [255, 255, 0, 255]


@pytest.mark.parametrize(
    ("name", "form", "pixels", "said"),
    [
        ("a.jpg", "PNG", pixels_of("RGBA", 8), "alpha is lost, as .jpg has no room for it; laid on white"),
        ("a.bmp", "PNG", pixels_of("LA", 8)[..., [0, 3]], "alpha is lost, as .bmp has no room for it; laid on white"),
        ("a.bmp", "", pixels_of("RGB", 16)[..., :3], "8 of 16 bits are lost, as .bmp has no room for them"),
        (
            "a.gif",
            "PNG",
            pixels_of("RGB", 8).repeat(50, axis=0)[..., :3] + np.arange(250, dtype=np.uint8)[:, None, None],
            ".gif has 256 colors",
        ),
        ("a.gif", "PNG", pixels_of("RGBA", 8), ".gif has 256 colors and no half-transparent ones"),
    ],
)
def test_what_a_format_has_no_room_for_is_said(translated, tmp_path, capsys, name, form, pixels, said):
    path = tmp_path / "in" / name
    path.parent.mkdir()
    if form:
        Image.fromarray(pixels).save(path, format=form)
    else:
        path.write_bytes(png.encode(pixels, Tags(), b""))
    whole = read_picture(path)
    out = translated(path.parent) / name
    assert said in capsys.readouterr().out
    if name == "a.bmp":
        assert np.array_equal(read_picture(out), whole)


def source_of(color: list[int], alpha: int) -> SourceImage:
    values, clear = np.array([[color]], np.uint8), np.array([[alpha]], np.uint8)
    path = Path("a.png")
    return read_source(path, RGB, content=encode_raster(Raster(values=values, alpha=clear)))


@pytest.mark.parametrize(
    ("color", "alpha", "translated", "expected"),
    [
        ([0, 0, 0], 128, [200, 128, 255], [145, 2, 255]),  # (t - (255 - a)) · 255 / a
        ([0, 0, 0], 51, [100, 204, 255], [0, 0, 255]),  # darker than the white behind it: clipped
        ([9, 8, 7], 255, [1, 2, 3], [1, 2, 3]),
        ([9, 8, 7], 0, [1, 2, 3], [9, 8, 7]),  # of the invisible, the source's
    ],
)
def test_white_is_taken_off_the_translation(color, alpha, translated, expected):
    image = torch.tensor(translated).float().div(127.5).sub(1).view(1, 3, 1, 1)
    found = finish(image, source_of(color, alpha))
    assert found.alpha.tolist() == [[alpha]]
    assert found.values[0, 0].tolist() == pytest.approx(expected, abs=1)


def test_the_network_sees_half_a_color_as_half_white():
    image = source_of([0, 100, 255], 128).image
    assert ((image[0, :, 0, 0] + 1) * 127.5).tolist() == pytest.approx([127, 177.2, 255], abs=0.1)


def test_a_translation_to_other_channels_keeps_alpha_and_loses_white(tmp_path):
    original = source_of([0, 0, 0], 128)
    kinds = FormatPair(RGB, PixelFormat(channels=1))
    write_translation(tmp_path / "a.png", original.image[:, :1], original, kinds, "")
    raster = read_raster(tmp_path / "a.png", PixelFormat(channels=1))
    assert (raster.values.item(), raster.alpha.item()) == (0, 128)


def test_a_reduced_picture_does_not_show_the_colors_of_transparent_pixels(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, ::2] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    raster = read_source(tmp_path / "a.png", longest=4).raster
    assert raster.values.shape == (4, 4, 3)
    assert raster.values[..., 0].min() > 150


def test_frames_are_counted_and_read_one_by_one(tmp_path):
    frames = [Image.fromarray(np.full((4, 5, 3), 60 * i, np.uint8)) for i in range(4)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        more = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **more)
        assert count_frames(tmp_path / name) == 4
        read = [frame.values[0, 0].tolist() for frame in read_frames(tmp_path / name, RGB)]
        assert read == [[60 * i] * 3 for i in range(4)]
    assert count_frames(save(tmp_path / "one.tif", pixels_of("RGB", 16), "RGB")) == 1


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read_and_written(translated, tmp_path):
    (tmp_path / "in").mkdir()
    pixels = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in" / "a.avif", quality=95)
    out = translated(tmp_path / "in") / "a.avif"
    assert np.abs(read_picture(out).astype(int) - pixels).max() <= 6


def test_heic_is_written_alike_where_pillow_heif_is_installed(translated, tmp_path):
    pytest.importorskip("pillow_heif")
    (tmp_path / "in").mkdir()
    pixels = np.full((64, 64, 4), (200, 30, 90, 128), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in" / "a.heic", format="PNG")
    assert np.abs(seen(translated(tmp_path / "in") / "a.heic").astype(int) - pixels).max() <= 6


def test_a_format_without_its_package_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadPictureError, match=r"a\.heic: HEIC: pip install pillow-heif"):
        write_picture(tmp_path / "out" / "a.heic", np.zeros((4, 4, 3), np.uint8))
    assert not (tmp_path / "out").exists()


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    pixels = np.full((64, 64, 3), (200, 30, 90), np.uint8)
    heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "a.heic", quality=95)
    (tmp_path / "a.heic").rename(tmp_path / "a.JPG")
    assert np.abs(read_picture(tmp_path / "a.JPG").astype(int) - pixels).max() <= 6
