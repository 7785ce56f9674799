"""F4: a mutated array, .npy or TIFF, is refused by name with a reason, or is a picture."""

from collections import Counter
from pathlib import Path

import numpy as np
from mutants import mutate, named, watched
from tifffile import imwrite

from cyclegan.images.files import read_raster
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.images.rgb8 import MAX_PIXELS, BadPictureError

ARRAYS = {  # what is in the file, and how tifffile writes it; no options: as .npy
    "16-bit.npy": (PixelFormat(channels=3, type="uint16"), None),
    "bands.npy": (PixelFormat(channels=5, type="float32", range=(0.0, 1.0)), None),
    "16-bit.tif": (PixelFormat(channels=3, type="uint16"), dict(photometric="rgb", compression="zlib")),
    "bands.tif": (
        PixelFormat(channels=5, type="float32", range=(0.0, 1.0)),
        dict(photometric="minisblack", planarconfig="contig"),
    ),
    "pages.tif": (PixelFormat(channels=4, type="uint16"), dict(photometric="minisblack")),
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


def read_array(path: Path, kind: PixelFormat) -> str | None:
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
