"""Files of every kind ↔ rasters: what was written is read back unchanged, and what is no picture is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy
from PIL import Image
from tifffile import imwrite

from cyclegan.images.files import holds, read_raster, write_raster
from cyclegan.images.pixel_format import TYPES, PixelFormat
from cyclegan.images.raster import Raster, Tags
from cyclegan.images.rgb8 import MAX_PIXELS, BadPictureError, read_picture


def kind_of(pixels: np.ndarray) -> PixelFormat:
    return PixelFormat(channels=pixels.shape[2], type=pixels.dtype.name, range=(0.0, 255.0))


def noise(height: int, width: int, channels: int, kind: str = "uint8", seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if kind == "float32":
        return random.normal(size=(height, width, channels)).astype(kind)
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, (height, width, channels), dtype=kind, endpoint=True)


@settings(max_examples=60, deadline=None)
@given(
    suffix=st.sampled_from([".npy", ".tif", ".png", ".bmp"]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 7),
    kind=st.sampled_from(TYPES),
)
def test_what_a_format_has_room_for_is_read_back_unchanged(tmp_path_factory, suffix, size, channels, kind):
    pixels = noise(*size, channels, kind)
    path = tmp_path_factory.mktemp("round") / f"trip{suffix}"
    if holds(suffix, kind_of(pixels)):
        write_raster(path, Raster(values=pixels), "made by a test")
        found = read_raster(path, kind_of(pixels)).values
        assert found.dtype == pixels.dtype
        assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    ("suffix", "channels", "kind", "room"),
    [
        (".png", 3, "uint16", True),
        (".png", 2, "uint8", False),
        (".png", 1, "float32", False),
        (".jpg", 3, "uint8", True),
        (".JPG", 3, "uint16", False),
        (".webp", 1, "uint8", False),
        (".tiff", 9, "int32", True),
        (".npy", 9, "int16", True),
    ],
)
def test_every_format_has_its_room(suffix, channels, kind, room):
    assert holds(suffix, PixelFormat(channels=channels, type=kind, range=(0.0, 1.0))) is room


@pytest.mark.parametrize("layout", ["interleaved", "planar", "pages", "big-endian", "deflate"])
def test_channels_of_a_tiff_may_lie_in_any_order(tmp_path, layout):
    pixels = noise(6, 8, 5, "uint16")
    planes = np.moveaxis(pixels, 2, 0)
    stored, how = {
        "interleaved": (pixels, {"planarconfig": "contig"}),
        "planar": (planes, {"planarconfig": "separate"}),
        "pages": (planes, {}),
        "big-endian": (pixels, {"planarconfig": "contig", "byteorder": ">"}),
        "deflate": (pixels, {"planarconfig": "contig", "compression": "zlib", "predictor": False}),
    }[layout]
    imwrite(tmp_path / "a.tif", stored, photometric="minisblack", **how)
    assert np.array_equal(read_raster(tmp_path / "a.tif", kind_of(pixels)).values, pixels)


def stored_by_pillow(path: Path, pixels: np.ndarray, **how: object) -> Path:
    Image.fromarray(pixels).save(path, compression="tiff_lzw", **how)
    return path


@pytest.mark.parametrize("predictor", [1, 2])
def test_16_bit_greys_of_an_lzw_tiff_are_read_as_they_are(tmp_path, predictor):
    pixels = noise(6, 8, 1, "uint16")
    path = stored_by_pillow(tmp_path / "a.tif", pixels[..., 0], tiffinfo={317: predictor}, dpi=(300, 300))
    raster = read_raster(path, PixelFormat(channels=1, type="uint16"))
    assert raster.values.dtype == np.uint16
    assert np.array_equal(raster.values, pixels)
    assert raster.tags.dpi == (300, 300)
    assert read_raster(path, PixelFormat()).values.shape == (6, 8, 3)


@pytest.mark.parametrize("odd", ["float32", "white is zero", "pages"])
def test_an_lzw_tiff_of_what_pillow_does_not_read_right_is_read_right(tmp_path, odd):
    pixels = noise(6, 8, 1, "float32" if odd == "float32" else "uint16")[..., 0]
    more = {
        "white is zero": {"tiffinfo": {262: 0}},
        "pages": {"save_all": True, "append_images": [Image.new("I;16", (8, 6))]},
    }
    path = stored_by_pillow(tmp_path / "a.tif", pixels, **more.get(odd, {}))
    found = read_raster(path, PixelFormat(channels=1, type="float32", range=(0.0, 1.0))).values[..., 0]
    assert np.array_equal(found, 65535 - pixels if odd == "white is zero" else pixels)


def test_an_array_without_an_axis_for_its_channel_is_written_without_one(tmp_path):
    np.save(tmp_path / "a.npy", noise(4, 5, 1)[..., 0])
    raster = read_raster(tmp_path / "a.npy", kind_of(noise(4, 5, 1)))
    assert raster.values.shape == (4, 5, 1)
    write_raster(tmp_path / "b.npy", raster, "")
    assert np.load(tmp_path / "b.npy").shape == (4, 5)


def test_grey_becomes_three_alike_channels_where_three_are_expected(tmp_path):
    np.save(tmp_path / "a.npy", noise(4, 5, 1))
    assert read_raster(tmp_path / "a.npy", PixelFormat()).values.shape == (4, 5, 3)


def test_grey_with_alpha_keeps_both_apart(tmp_path):
    Image.fromarray(np.full((3, 4, 2), (100, 255), np.uint8), "LA").save(tmp_path / "a.png")
    raster = read_raster(tmp_path / "a.png", PixelFormat(channels=1))
    assert (raster.values.shape, raster.values.max(), raster.alpha.shape) == ((3, 4, 1), 100, (3, 4))


def test_colors_that_a_tiff_has_multiplied_by_alpha_are_divided_by_it(tmp_path):
    half = np.full((2, 2, 4), (16384, 0, 0, 32768), np.uint16)
    imwrite(tmp_path / "a.tif", half, photometric="rgb", extrasamples=["assocalpha"])
    assert read_raster(tmp_path / "a.tif", PixelFormat()).values[0, 0].tolist() == [round(16384 / 32768 * 65535), 0, 0]
    assert read_picture(tmp_path / "a.tif")[0, 0].tolist() == [191, 127, 127]


def header(shape: tuple[int, ...], kind: str) -> dict[str, object]:
    return {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        ((60_000, 1_000), "uint8", f"more than {MAX_PIXELS:,} pixels"),
        ((4, 4, 100_000), "uint8", "100000 channels are more than 512"),
        ((6_000, 6_000, 500), "float32", "bytes are more than"),
        ((4,), "uint8", "neither (h, w) nor (h, w, c)"),
        ((0, 4), "uint8", "neither (h, w) nor (h, w, c)"),
        ((4, 4), "float64", "pixels of type float64; save it as one of uint8"),
        ((4, 4), "complex64", "pixels of type complex64"),
        ((100, 100), "uint8", "it ends after"),
    ],
)
def test_an_array_is_judged_by_its_header_before_it_is_read(tmp_path, monkeypatch, shape, kind, said):
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("read"))
    with (tmp_path / "a.npy").open("wb") as file:
        npy.write_array_header_1_0(file, header(shape, kind))
    with pytest.raises(BadPictureError) as caught:
        read_raster(tmp_path / "a.npy", PixelFormat(channels=1, type="float32", range=(0.0, 1.0)))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'a.npy'}: not a readable picture (")


def test_a_pickle_is_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(BadPictureError, match="pixels of type object"):
        read_raster(tmp_path / "a.npy", PixelFormat(channels=1))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png"])
def test_a_truncated_file_is_named(tmp_path, suffix, share):
    pixels = noise(40, 40, 3, "uint16")
    write_raster(tmp_path / f"whole{suffix}", Raster(values=pixels, tags=Tags()), "")
    content = (tmp_path / f"whole{suffix}").read_bytes()
    path: Path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadPictureError, match=rf"cut\{suffix}: not a readable picture"):
        read_raster(path, kind_of(pixels))
