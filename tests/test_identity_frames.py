"""A translation of strength 0 gives all frames and pages back: pixels, alpha, bits, timing; losses are said."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from tifffile import imread, imwrite

from cyclegan.cli import main
from cyclegan.images import png16 as png
from cyclegan.images.frames import count_frames, read_frames
from cyclegan.images.pixel_format import RGB
from cyclegan.images.raster import Tags

DURATIONS = [50, 120, 80, 200]  # ms
COLORS = np.array([[0, 10, 255], [9, 9, 9], [200, 0, 40]], np.uint8)
PAGES = [(bits, mode) for bits in (8, 16) for mode in ("L", "LA", "RGB", "RGBA")]
ANIMATIONS = [  # suffix, mode; GIF has no half-transparent colors
    *((".gif", mode) for mode in ("L", "RGB", "P")),
    *((".png", mode) for mode in ("L", "LA", "RGB", "RGBA", "P")),
    *((".webp", mode) for mode in ("RGB", "RGBA")),
]


@pytest.fixture
def translated(save_run, tmp_path, capsys) -> Callable[[], str]:
    """Translates in/ to out/ at strength 0 by the command line; returns what is said."""
    run = save_run(tmp_path / "run", domain="photo2painting")
    (tmp_path / "in").mkdir()

    def translate(*options: str) -> str:
        command = ["translate", str(run), str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--strength", "0"]
        assert main([*command, *options]) == 0
        return capsys.readouterr().out

    return translate


def noise(mode: str, bits: int, count: int, size: tuple[int, int] = (5, 8)) -> list[np.ndarray]:
    """(h, w, 4) arrays with every opacity from none to full where the mode has alpha; few colors of a palette."""
    random, highest = np.random.default_rng(len(mode) + bits), 2**bits - 1
    frames = []
    for _ in range(count):
        color = random.integers(0, highest, (*size, 3), endpoint=True, dtype=f"uint{bits}")
        alpha = random.integers(0, highest, size, endpoint=True, dtype=f"uint{bits}")
        alpha[0], alpha[1] = 0, highest
        if mode.startswith("L"):
            color = color[..., :1].repeat(3, axis=2)
        if mode == "P":
            color = COLORS[random.integers(0, len(COLORS), size)]
            alpha = np.where((color == COLORS[1]).all(axis=2), 0, 255).astype(np.uint8)
        frames.append(np.dstack([color, alpha if mode in ("LA", "RGBA", "P") else np.full_like(alpha, highest)]))
    return frames


def channels_of(pixels: np.ndarray, mode: str) -> np.ndarray:
    stored = pixels[..., {"L": [0], "LA": [0, 3], "RGB": [0, 1, 2]}.get(mode, [0, 1, 2, 3])]
    return np.ascontiguousarray(stored.squeeze(2) if mode == "L" else stored)


def seen(path: Path) -> list[np.ndarray]:
    """(h, w, 4) of all frames or pages."""
    found = []
    for raster in read_frames(path, RGB):
        opaque = np.full(raster.values.shape[:2], np.iinfo(raster.values.dtype).max, raster.values.dtype)
        found.append(np.dstack([raster.values, opaque if raster.alpha is None else raster.alpha]))
    return found


def save_pages(path: Path, frames: list[np.ndarray], mode: str, **options: object) -> None:
    for number, pixels in enumerate(frames):
        how = {"extrasamples": ["unassalpha"]} if mode.endswith("A") else {}
        how |= {"planarconfig": "contig"} if mode != "L" else {}
        how |= {"photometric": "minisblack" if mode.startswith("L") else "rgb", "metadata": None}
        imwrite(path, channels_of(pixels, mode), append=number > 0, **how, **options)


def save_animation(path: Path, frames: list[np.ndarray], mode: str, **options: object) -> None:
    first, *others = (Image.fromarray(channels_of(pixels, mode)) for pixels in frames)
    if path.suffix == ".gif":
        options |= {"disposal": 2}
    if path.suffix == ".webp":
        options |= {"lossless": True}
    first.save(path, save_all=True, append_images=others, **{"duration": DURATIONS, "loop": 3, **options})


def deep_animation(*frames: np.ndarray) -> bytes:
    """An APNG of 16 bits a channel, which Pillow does not write: each frame is half a second long."""
    header, *_, end = chunks(png.encode(frames[0], Tags(), b""))
    parts, number = [header, (b"acTL", struct.pack(">II", len(frames), 0))], 0
    for i, pixels in enumerate(frames):
        (data,) = (data for name, data in chunks(png.encode(pixels, Tags(), b"")) if name == b"IDAT")
        height, width = pixels.shape[:2]
        parts.append((b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 2, 0, 0)))
        parts.append((b"fdAT", struct.pack(">I", number + 1) + data) if i else (b"IDAT", data))
        number += 2 if i else 1
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (*parts, end)
    )


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, data) of a PNG file."""
    at = len(png.SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += length + 12


def timing(path: Path) -> tuple[list[float], int]:
    with Image.open(path) as animation:
        durations = [frame.copy().info["duration"] for frame in ImageSequence.Iterator(animation)]
        return durations, animation.info["loop"]


def test_pages_of_every_depth_and_mode_are_given_back_exactly(translated, tmp_path):
    expected = {}
    for bits, mode in PAGES:
        expected[f"{bits}-{mode}.tif"] = noise(mode, bits, 3)
        save_pages(tmp_path / "in" / f"{bits}-{mode}.tif", expected[f"{bits}-{mode}.tif"], mode)
    assert "lost" not in translated()
    for name, pages in expected.items():
        found = seen(tmp_path / "out" / name)
        assert [page.dtype for page in found] == [page.dtype for page in pages], name
        assert np.array_equal(found, pages), name


def test_animations_of_every_format_and_mode_are_given_back_with_their_timing(translated, tmp_path):
    expected = {}
    for suffix, mode in ANIMATIONS:
        expected[f"{mode}{suffix}"] = noise(mode, 8, len(DURATIONS))
        save_animation(tmp_path / "in" / f"{mode}{suffix}", expected[f"{mode}{suffix}"], mode)
    assert "lost" not in translated()
    for name, frames in expected.items():
        assert timing(tmp_path / "out" / name) == (DURATIONS, 3), name
        for found, pixels in zip(seen(tmp_path / "out" / name), frames, strict=True):
            assert np.array_equal(found[..., 3], pixels[..., 3]), name
            shown = ... if name.endswith(".png") else pixels[..., 3] > 0  # of others, what is invisible has no color
            assert np.array_equal(found[shown], pixels[shown]), name


@pytest.mark.parametrize("count", [2, 3, 4])
def test_pages_keep_their_sizes_resolutions_and_association_of_alpha(translated, tmp_path, count):
    pages = [noise("RGBA", 8, 1, (5 + number, 8))[0] for number in range(count)]
    for pixels in pages:
        pixels[..., :3] = (pixels[..., :3] * (pixels[..., 3:] / 255)).round()
    for number, pixels in enumerate(pages):
        how = {"extrasamples": ["assocalpha"], "resolution": (72 + number, 72), "resolutionunit": "INCH"}
        imwrite(tmp_path / "in" / "a.tif", pixels, photometric="rgb", metadata=None, append=number > 0, **how)
    translated()
    for number, pixels in enumerate(pages):
        assert np.array_equal(imread(tmp_path / "out" / "a.tif", key=number), pixels)
        with Image.open(tmp_path / "out" / "a.tif") as picture:
            picture.seek(number)
            assert picture.tag_v2[338] == (1,)
            assert picture.info["dpi"] == (72 + number, 72)


def test_a_thumbnail_between_the_pages_is_left_out(translated, tmp_path):
    pages = noise("RGB", 16, 3)
    for number, (pixels, kind) in enumerate(zip(pages, (0, 1, 0), strict=True)):
        how = {"photometric": "rgb", "metadata": None, "subfiletype": kind, "append": number > 0}
        imwrite(tmp_path / "in" / "a.tif", channels_of(pixels, "RGB"), **how)
    translated()
    assert np.array_equal(seen(tmp_path / "out" / "a.tif"), pages[::2])


def test_a_sideways_animation_comes_back_upright(translated, tmp_path):
    frames, exif = noise("RGB", 8, 4), Image.Exif()
    exif[0x0112] = 6
    save_animation(tmp_path / "in" / "a.webp", frames, "RGB", exif=exif)
    translated()
    for found, pixels in zip(seen(tmp_path / "out" / "a.webp"), frames, strict=True):
        assert np.array_equal(found, np.rot90(pixels, -1))


def test_what_an_animation_has_no_room_for_is_said(translated, tmp_path):
    save_animation(tmp_path / "in" / "half.png", noise("RGBA", 8, 4), "RGBA")
    (tmp_path / "in" / "half.png").rename(tmp_path / "in" / "half.gif")
    assert (
        f"note: some colors are lost, as .gif has 256 colors and no half-transparent ones: {tmp_path}/out/half.gif"
        in (translated())
    )
    assert timing(tmp_path / "out" / "half.gif") == (DURATIONS, 3)


def test_of_an_animation_with_16_bits_8_are_lost_and_it_is_said(translated, tmp_path):
    frames = noise("RGB", 16, 2)
    (tmp_path / "in" / "deep.png").write_bytes(deep_animation(*(channels_of(pixels, "RGB") for pixels in frames)))
    assert count_frames(tmp_path / "in" / "deep.png") == 2
    assert f"note: 8 of 16 bits are lost, as animations are read with 8: {tmp_path}/in/deep.png" in translated()
    for found, pixels in zip(seen(tmp_path / "out" / "deep.png"), frames, strict=True):
        assert np.abs(found[..., :3] - pixels[..., :3] / 257).max() <= 1


def test_frames_become_pages_where_the_target_has_16_bits(translated, tmp_path):
    frames = noise("RGBA", 8, 4)
    save_animation(tmp_path / "in" / "a.png", frames, "RGBA")
    assert "note: 4 frames become pages of a.tif, without durations" in translated("--bits", "16")
    assert np.array_equal(seen(tmp_path / "out" / "a.tif"), [frame.astype(np.uint16) * 257 for frame in frames])
