"""TIFF of any depth, layout and compression; what is not read is named for what it is, by every verb alike."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tifffile import TiffFile, imwrite

from cyclegan.data.validate import check
from cyclegan.images.files import read_raster
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.rgb8 import BadPictureError, read_picture
from cyclegan.images.tensors import from_values
from cyclegan.images.tiff import inflated

COMPRESSION, STRIPS, COUNTS = 259, (273, 324), (279, 325)  # TIFF tags; of strips and of tiles
PREDICTOR, PRIVATE = 317, 65000
LZW, ZSTANDARD, JPEG_2000 = 5, 50000, 34712
CODES = {"tiff_lzw": LZW, "zstd": ZSTANDARD}


def noise(channels: int, kind: str = "uint16", size: tuple[int, int] = (20, 37)) -> np.ndarray:
    random = np.random.default_rng(0)
    if kind == "float32":
        return random.random((*size, channels), np.float32)
    return random.integers(0, np.iinfo(kind).max, (*size, channels), dtype=kind, endpoint=True)


def deflated(content: bytes, codec: str) -> bytes:
    """Bytes in a compression of TIFF, as Pillow writes it."""
    file = io.BytesIO()
    Image.frombytes("L", (len(content), 1), content).save(file, "TIFF", compression=codec)
    with TiffFile(io.BytesIO(file.getvalue())) as stored:
        page = stored.pages.first
        return file.getvalue()[page.dataoffsets[0] :][: page.databytecounts[0]]


def recompressed(path: Path, codec: str) -> Path:
    """An uncompressed file, every strip or tile of which is compressed instead."""
    file = io.BytesIO(path.read_bytes())
    with TiffFile(file) as stored:
        for page in list(stored.pages):
            offsets, sizes = [], []
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                file.seek(offset)
                content = deflated(file.read(count), codec)
                offsets.append(file.seek(0, io.SEEK_END))
                sizes.append(file.write(content))
            for codes, values in ((STRIPS, offsets), (COUNTS, sizes)):
                next(page.tags[code] for code in codes if code in page.tags).overwrite(values)
            page.tags[COMPRESSION].overwrite(CODES[codec])
    path.write_bytes(file.getvalue())
    return path


def rename_tag(path: Path, old: int, new: int) -> None:
    """Give a tag another code, which tifffile does not write by itself."""
    with TiffFile(path) as stored:
        at = stored.pages.first.tags[old].offset
    content = bytearray(path.read_bytes())
    content[at : at + 2] = new.to_bytes(2, "little")
    path.write_bytes(content)


LAYOUTS = {
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "tiles": {"tile": (16, 16)},
    "predictor": {"predictor": 2},
    "big-endian": {"byteorder": ">", "rowsperstrip": 7},
}


@pytest.mark.parametrize("codec", ["tiff_lzw", "zstd"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("channels", "kind"), [(3, "uint16"), (1, "uint16"), (5, "uint8"), (2, "float32")])
def test_what_tifffile_cannot_decompress_is_read_exactly(tmp_path, codec, layout, channels, kind):
    if layout == "predictor" and kind == "float32":
        return  # of floats it is another predictor
    how = {key: value for key, value in LAYOUTS[layout].items() if key != "predictor"}
    pixels = noise(channels, kind)
    stored = pixels
    if layout == "predictor":  # differences to the pixel on the left
        stored = np.concatenate([pixels[:, :1], np.diff(pixels, axis=1)], axis=1)
        how["extratags"] = [(PRIVATE, 3, 1, 2, True)]
    shape = {"photometric": "rgb"} if channels == 3 else {"photometric": "minisblack", "planarconfig": "contig"}
    imwrite(tmp_path / "a.tif", stored.squeeze(2) if channels == 1 else stored, **how, **shape)
    if layout == "predictor":
        rename_tag(tmp_path / "a.tif", PRIVATE, PREDICTOR)
    path = recompressed(tmp_path / "a.tif", codec)
    found = read_raster(path, PixelFormat(channels=channels, type=kind, range=(0.0, 1.0))).values
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("codec", [None, "tiff_lzw"])
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_planes_are_read_as_colors(tmp_path, kind, codec):
    pixels = noise(3, kind)
    imwrite(tmp_path / "a.tif", np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate")
    path = recompressed(tmp_path / "a.tif", codec) if codec else tmp_path / "a.tif"
    assert np.array_equal(read_raster(path, RGB).values, pixels)


def test_compressed_bytes_of_any_length_come_back():
    for size in (1, 2, 255, 70_001):
        content = np.random.default_rng(size).integers(0, 9, size, np.uint8).tobytes()
        assert inflated(deflated(content, "tiff_lzw"), size, LZW) == content


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pages", [2, 3, 4, 6])
@pytest.mark.parametrize("codec", [None, "tiff_lzw"])
def test_pages_are_channels_only_where_so_many_are_asked_for(tmp_path, bits, pages, codec):
    stack = noise(pages, f"uint{bits}")
    imwrite(tmp_path / "a.tif", np.moveaxis(stack, 2, 0), photometric="minisblack")
    path = recompressed(tmp_path / "a.tif", codec) if codec else tmp_path / "a.tif"
    first = stack[..., :1]
    assert np.array_equal(read_raster(path, RGB).values, first.repeat(3, axis=2))
    assert np.array_equal(read_raster(path, PixelFormat(channels=1)).values, first)
    assert np.array_equal(read_picture(path)[..., 0], (first[..., 0] / (257 if bits == 16 else 1)).round())
    if pages != 3:
        assert np.array_equal(read_raster(path, PixelFormat(channels=pages)).values, stack)
    with pytest.raises(BadPictureError, match="where 5 are expected"):
        read_raster(path, PixelFormat(channels=5))


def test_12_bits_fill_the_range_of_16_unless_one_is_declared(tmp_path):
    rows = np.array([[0, 1, 2048, 4095]], np.uint16)
    packed = bytes([0, 0, 1, 0x80, 0x0F, 0xFF])
    imwrite(tmp_path / "a.tif", rows, photometric="minisblack")
    file = io.BytesIO((tmp_path / "a.tif").read_bytes())
    with TiffFile(file) as stored:
        page = stored.pages.first
        file.seek(page.dataoffsets[0])
        file.write(packed)
        page.tags[258].overwrite(12)
        page.tags[279].overwrite(len(packed))
    (tmp_path / "a.tif").write_bytes(file.getvalue())
    declared = PixelFormat(channels=1, type="uint16", range=(0.0, 4095.0))
    assert read_raster(tmp_path / "a.tif", declared).values[0, :, 0].tolist() == [0, 1, 2048, 4095]
    assert read_raster(tmp_path / "a.tif", PixelFormat(channels=1)).values[0, :, 0].tolist() == [0, 16, 32776, 65535]
    assert read_picture(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_inks_become_the_same_colors_with_8_and_16_bits(tmp_path, kind):
    inks = noise(4, "uint8")
    scale = 257 if kind == "uint16" else 1
    imwrite(tmp_path / "a.tif", inks.astype(kind) * scale, photometric="separated")
    expected = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")).astype(int)
    assert np.abs(read_picture(tmp_path / "a.tif") - expected).max() <= 1


def test_a_big_endian_bigtiff_is_read(tmp_path):
    pixels = noise(3, "uint8")
    imwrite(tmp_path / "a.tif", pixels, photometric="rgb", bigtiff=True, byteorder=">")
    assert np.array_equal(read_picture(tmp_path / "a.tif"), pixels)


def test_the_band_a_of_lab_is_no_alpha(tmp_path):
    Image.new("LAB", (8, 8), (120, 130, 140)).save(tmp_path / "a.tif")
    assert read_raster(tmp_path / "a.tif", RGB).alpha is None
    assert not any("alpha" in note for note in check(tmp_path).notes())


def jpeg_2000(path: Path) -> None:
    imwrite(path, noise(3), photometric="rgb")
    with TiffFile(path, mode="r+b") as stored:
        stored.pages.first.tags[COMPRESSION].overwrite(JPEG_2000)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content + bytes(100))


ODD = {
    "3 floats": (lambda p: imwrite(p, noise(3, "float32"), photometric="rgb"), "TIFF of 3 × float32 from 0"),
    "signed bytes": (lambda p: imwrite(p, noise(1, "int8")[..., 0]), "TIFF of 1 × int8; save it as one of"),
    "below zero": (lambda p: imwrite(p, np.full((4, 4), -3, np.int16)), "TIFF of 1 × int16 from -3 to -3"),
    "64 bits": (lambda p: imwrite(p, np.zeros((4, 4))), "TIFF of 1 × float64; save it as one of"),
    "JPEG 2000 inside": (jpeg_2000, "TIFF of 3 × uint16, JPEG 2000: there is no decoder for it"),
    "lab of 16 bits": (
        lambda p: imwrite(p, noise(3), photometric="cielab"),
        "TIFF of 3 × uint16, CIELAB; save it as RGB",
    ),
    "Photoshop": (lambda p: write(p, b"8BPS\0\1"), "it is Photoshop (PSD), which is not read"),
    "JPEG XL": (lambda p: write(p, b"\xff\x0a"), "it is JPEG XL, which is not read; save it as PNG"),
    "a text": (lambda p: p.write_bytes(b"hello"), "its content is none of BMP, GIF, JPEG, PNG, TIFF, WEBP"),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_not_read_is_named_and_every_verb_says_the_same(tmp_path, odd):
    save, said = ODD[odd]
    path = tmp_path / "a.tif"
    save(path)
    with pytest.raises(BadPictureError) as training:
        read_picture(path)
    with pytest.raises(BadPictureError) as translating:
        read_raster(path, RGB)
    with pytest.raises(BadPictureError) as serving:
        read_picture(path, path.read_bytes())
    assert said in str(training.value)
    assert str(training.value) == str(translating.value) == str(serving.value)
    assert check(tmp_path).bad == (str(training.value),)


@pytest.mark.parametrize("name", ["a.heic", "IMG_0001.JPG", "a.png"])
def test_a_phones_format_is_named_with_its_package(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    write(tmp_path / name, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(BadPictureError) as caught:
        read_picture(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: HEIC: pip install pillow-heif"


def test_what_is_trained_on_is_what_is_translated(tmp_path):
    imwrite(tmp_path / "a.tif", noise(3), photometric="rgb")
    path = recompressed(tmp_path / "a.tif", "tiff_lzw")
    trained, translated = read_picture(path), read_raster(path, RGB).values
    assert translated.dtype == np.uint16
    difference = from_values(trained, RGB) - from_values(translated, RGB)
    assert difference.abs().max() <= 1 / 255 + 1e-6  # half a level of 8 bits
