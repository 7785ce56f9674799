"""F4: a mutated picture is refused by name with a reason, or is a picture; a training stops at it, or leaves it out."""

import io
import os
import shutil
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutants import lines, mutate, named, watched
from PIL import Image
from tifffile import imwrite

from cyclegan.cli import main
from cyclegan.pictures import MAX_PIXELS, BadPictureError, find_pictures, read_picture
from cyclegan.pixels.files import read_raster
from cyclegan.pixels.kind import Kind

KINDS = {"png": {}, "jpg": {"quality": 90}, "webp": {"lossless": True}, "tif": {"compression": "tiff_lzw"}, "bmp": {}}
COUNTS = (("png", 0.3), ("jpg", 0.3), ("webp", 0.2), ("tif", 0.15), ("bmp", 0.05))


def encoded(kind: str, picture: Image.Image | None = None, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = picture or Image.fromarray(pixels).resize((61, 47), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    with_exif = {} if kind == "bmp" else {"exif": exif}
    form = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
    picture.save(file, form, **KINDS.get(kind, {}) | with_exif | options)
    return file.getvalue()


def png(width: int, height: int, data: bytes = b"", bits: int = 8, color: int = 2, extra: bytes = b"") -> bytes:
    """A PNG of any claims."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A comment that is 64 MB when unpacked."""
    content = b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
    extra = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return png(1, 1, zlib.compress(bytes(4)), extra=extra)


def animated(form: str) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (9, 7), (shade, 0, 0)) for shade in range(0, 250, 50)]
    frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


ODD: dict[str, tuple[bytes, bool]] = {  # content, and whether it is a picture all the same
    "bomb-12000.png": (png(12_000, 12_000, zlib.compress(bytes(100))), False),
    "bomb-30000.png": (png(30_000, 30_000, zlib.compress(bytes(100))), False),
    "bomb-2e31.png": (png(2**31 - 1, 2**31 - 1), False),
    "bomb-30000.bmp": (b"BM" + struct.pack("<6IHH6I", 54, 0, 54, 40, 30_000, 30_000, 1, 24, *[0] * 6), False),
    "bomb-text.png": (text_bomb(), False),
    "no-pixels.png": (png(0, 5), False),
    "few-pixels.png": (png(50, 50, zlib.compress(bytes(10))), False),
    "empty.png": (b"", False),
    "text.png": (b"hello, I am a picture\n", False),
    "page.jpg": (b"<html>404</html>", False),
    "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
    "moving.gif.png": (animated("GIF"), False),
    "float.tif": (encoded("tif", Image.fromarray(np.zeros((4, 4), np.float32))), False),
    "dot.png": (encoded("png", Image.new("RGB", (1, 1))), True),
    "line.jpg": (encoded("jpg", Image.new("RGB", (1, 300))), True),
    "deep.png": (encoded("png", Image.fromarray(np.full((4, 4), 40_000, np.uint16))), True),
    "print.jpg": (encoded("jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0))), True),
    "sprite.png": (encoded("png", Image.new("RGBA", (8, 8), (9, 9, 9, 0)).quantize()), True),
    "glass.webp": (encoded("webp", Image.new("RGBA", (8, 8), (9, 9, 9, 0))), True),
    "moving.webp": (animated("WEBP"), True),
    "moving.png": (animated("PNG"), True),
    "turned.jpg": (encoded("jpg"), True),
    "really-jpeg.png": (encoded("jpg"), True),
}  # fmt: skip


def write_mutants(folder: Path, count: int) -> dict[Path, str]:
    """Mutants of every kind, and what was done to each."""
    written = {}
    kinds = [kind for kind, share in COUNTS for _ in range(round(share * count))]
    for number, kind in enumerate(kinds):
        way, content = mutate(encoded(kind), number)
        path = folder / f"{number:04d}.{kind}"
        path.write_bytes(content)
        written[path] = f"{kind}: {way}"
    return written


def read(path: Path) -> str | None:
    """What is wrong with a picture; None if it is one."""
    try:
        pixels = read_picture(path)
    except BadPictureError as error:
        said = str(error)
        assert said.startswith(f"{path}: ")
        assert said.isprintable()
        return said
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
    assert 0 < pixels.size <= 3 * MAX_PIXELS
    return None


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_mutated_pictures_are_refused_by_name_or_are_pictures(tmp_path, size, figure, capfd):
    count = size(120, 500)
    written = write_mutants(tmp_path, count)
    for name, (content, _) in ODD.items():
        (tmp_path / name).write_bytes(content)
        written[tmp_path / name] = name
    bad = {}
    with watched() as watch:
        for number, (path, what) in enumerate(written.items()):
            with watch.on(what):
                try:
                    bad[path] = read(path)
                except BaseException as error:
                    raise AssertionError(f"{named(number, what)}: {type(error).__name__}: {error}") from error
        for name, (_, good) in ODD.items():
            assert (bad[tmp_path / name] is None) == good, (name, bad[tmp_path / name])
        capfd.readouterr()
        with watch.on("data check"):
            assert main(["data", "check", str(tmp_path)]) == 2
    refused = [said for said in bad.values() if said]
    printed = lines(capfd.readouterr().out)
    assert printed[0] == f"{tmp_path}: {len(written) - len(refused)} of {len(written)} pictures can be read"
    assert [line for line in printed if line.startswith("bad: ")] == [
        f"bad: {bad[p]}" for p in find_pictures(tmp_path) if bad[p]
    ]
    kinds = Counter(path.suffix for path, said in bad.items() if said)
    ofs = ", ".join(f"{kinds[f'.{kind}']} {kind}" for kind in KINDS)
    figure("F4", f"{count} mutated and {len(ODD)} odd pictures: 0 tracebacks; data check lists all {len(refused)} that "
                 f"are bad ({ofs}), exit code 2; {watch}")  # fmt: skip
    assert watch.peak < 500


ARRAYS = {  # what is in the file, and how tifffile writes it; no options: as .npy
    "16-bit.npy": (Kind(channels=3, type="uint16"), None),
    "bands.npy": (Kind(channels=5, type="float32", range=(0.0, 1.0)), None),
    "16-bit.tif": (Kind(channels=3, type="uint16"), dict(photometric="rgb", compression="zlib")),
    "bands.tif": (
        Kind(channels=5, type="float32", range=(0.0, 1.0)),
        dict(photometric="minisblack", planarconfig="contig"),
    ),
    "pages.tif": (Kind(channels=4, type="uint16"), dict(photometric="minisblack")),
}


def array_file(name: str, folder: Path) -> bytes:
    kind, how = ARRAYS[name]
    random = np.random.default_rng(0)
    values = random.random((47, 61, kind.channels)).astype("float32")
    if kind.range is None:
        values = (values * 65535).astype(kind.type)
    path = folder / name
    if how is None:
        np.save(path, values)
    else:
        imwrite(path, np.moveaxis(values, 2, 0) if name == "pages.tif" else values, metadata=None, **how)
    assert np.array_equal(read_raster(path, kind).values, values)
    content = path.read_bytes()
    path.unlink()
    return content


def read_array(path: Path, kind: Kind) -> str | None:
    """What is wrong with an array; None if it is a picture."""
    try:
        values = read_raster(path, kind).values
    except BadPictureError as error:
        said = str(error)
        assert said.startswith(f"{path}: ")
        assert said.isprintable()
        return said
    assert (values.ndim, values.shape[2]) == (3, kind.channels)
    assert 0 < values[..., 0].size <= MAX_PIXELS
    return None


def test_mutated_arrays_are_refused_by_name_or_are_pictures(tmp_path, size, figure):
    count = size(100, 500) // len(ARRAYS)
    contents = {name: array_file(name, tmp_path) for name in ARRAYS}
    refused = Counter()
    with watched() as watch:
        for name, (kind, _) in ARRAYS.items():
            for number in range(count):
                way, content = mutate(contents[name], number)
                path = tmp_path / f"{number:04d}-{name}"
                path.write_bytes(content)
                with watch.on(f"{name}: {way}"):
                    try:
                        refused[name] += read_array(path, kind) is not None
                    except BaseException as error:
                        raise AssertionError(f"{named(number, f'{name}: {way}')}: {type(error).__name__}") from error
    assert all(refused[name] for name in ARRAYS)
    ofs = ", ".join(f"{refused[name]} {name}" for name in ARRAYS)
    figure("F4", f"{count * len(ARRAYS)} mutated arrays: 0 tracebacks; refused by name {ofs}; {watch}")
    assert watch.peak < 500


@pytest.mark.parametrize("put", ["folder", "loop", "pipe"])
def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path, put):
    path = tmp_path / "odd.png"
    {"folder": path.mkdir, "loop": lambda: path.symlink_to(path), "pipe": lambda: os.mkfifo(path)}[put]()
    with pytest.raises(BadPictureError, match=r"odd\.png: not a readable picture"):
        read_picture(path)
    assert find_pictures(tmp_path) == []


# Training

CONFIG = """
name: nano
method:
  name: cyclegan
  generator: {base_channels: 2, blocks: 1}
  discriminator: {base_channels: 2, layers: 1}
  buffer_size: 4
data: {x: summer, y: winter, load_size: null, crop_size: 8, batch_size: 2}
training: {steps: 24, log_every: 8, sample_every: 24, save_every: 12, device: cpu}
"""
COUNT = 125


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with settings and two sides of tiny pictures."""
    (tmp_path / "nano.yaml").write_text(CONFIG)
    draws = np.random.default_rng(0)
    for side in ("summer", "winter"):
        (tmp_path / side).mkdir()
        for i in range(COUNT):
            Image.fromarray(draws.integers(256, size=(9, 10, 3), dtype=np.uint8)).save(tmp_path / side / f"{i:03d}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cyclegan.experiment.score", lambda *_, **__: {})  # which is not what is tried here
    return tmp_path


@pytest.fixture
def train(place, capsys) -> Callable[..., tuple[int, str, list[str]]]:
    """`cyclegan train`: exit code, output, lines on stderr."""

    def run(*overrides: str) -> tuple[int, str, list[str]]:
        code = main(["train", "nano.yaml", *(argument for each in overrides for argument in ("--set", each))])
        said = capsys.readouterr()
        return code, said.out, [line for line in lines(said.err) if line.startswith("error: ")]

    return run


def trained_on(place: Path) -> tuple[Path, Path]:
    """A picture of X that is trained on, and one that is kept for testing."""
    from cyclegan.data.settings import UnpairedConfig
    from cyclegan.data.sources import find_sources

    sources = find_sources(UnpairedConfig(x=place / "summer", y=place / "winter", load_size=None, crop_size=8))
    return sources.train_x[3], sources.test_x[0]


SKIP = "data.on_bad_picture=skip"


@pytest.mark.slow
def test_a_training_that_comes_to_a_bad_picture_stops_with_its_path(train, place, figure):
    bad, _ = trained_on(place)
    bad.write_bytes(bad.read_bytes()[:60])
    code, _, said = train("training.steps=64")
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(f"error: summer/{bad.name}: not a readable picture")
    figure("F4", "on_bad_picture error: exit code 2 and the path of the one truncated picture among 250")


@pytest.mark.slow
def test_a_bad_picture_is_left_out_said_and_noted_and_nothing_else_changes(train, place, first_difference, figure):
    bad, _ = trained_on(place)
    content = bad.read_bytes()
    bad.unlink()
    assert train("name=without")[0] == 0
    bad.write_bytes(content[:60])
    code, out, _ = train(SKIP, "name=skipped")
    assert code == 0
    assert "left out  1 of the pictures, listed in runs/summer2winter/skipped/left-out.txt: summer/" in out
    runs = place / "runs" / "summer2winter"
    (noted,) = (runs / "skipped" / "left-out.txt").read_text().splitlines()
    assert noted.startswith(f"summer/{bad.name}: not a readable picture")
    assert not (runs / "without" / "left-out.txt").exists()

    assert train(SKIP, "name=resumed", "data.workers=1")[0] == 0
    steps = [runs / name / "checkpoints" / "step-00000012" / "state.safetensors" for name in ("without", "skipped")]
    assert steps[0].read_bytes() == steps[1].read_bytes()
    for step in (12, 24):
        one, other = (runs / name / "checkpoints" / f"step-{step:08d}" for name in ("skipped", "resumed"))
        assert first_difference(one, other) is None
    shutil.rmtree(runs / "resumed" / "checkpoints" / "step-00000024")
    assert train(SKIP, "name=resumed", "data.workers=5")[0] == 0
    last = [runs / name / "checkpoints" / "step-00000024" for name in ("skipped", "resumed")]
    assert first_difference(*last) is None
    figure("F4", "on_bad_picture skip: as if the picture were not there, to the bit; 1 or 5 workers, resumed or not")


def test_more_than_a_hundredth_of_bad_pictures_is_no_accident(train, place, figure):
    for path in sorted((place / "winter").iterdir())[:2]:
        path.write_bytes(b"")
    code, _, said = train(SKIP)
    assert (code, len(said)) == (2, 1)
    assert said[0].startswith(
        "error: data.on_bad_picture: 2 of 125 pictures of winter cannot be read, above data.most_bad (1%), as winter"
    )
    assert not (place / "runs" / "summer2winter" / "nano" / "checkpoints").exists()
    figure("F4", "on_bad_picture skip: exit code 2 before the first step at 2 bad pictures of 125")
