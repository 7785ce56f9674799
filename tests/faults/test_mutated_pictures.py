"""F4: a mutated picture is refused by name with a reason, or is a picture; so is an odd one, and what is no file."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mutants import lines, mutate, named, watched
from odd_pictures import KINDS, ODD, encoded

from cyclegan.cli import main
from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import MAX_PIXELS, BadPictureError, read_picture

COUNTS = (("png", 0.3), ("jpg", 0.3), ("webp", 0.2), ("tif", 0.15), ("bmp", 0.05))


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
        f"bad: {bad[p]}" for p in find_images(tmp_path) if bad[p]
    ]
    kinds = Counter(path.suffix for path, said in bad.items() if said)
    ofs = ", ".join(f"{kinds[f'.{kind}']} {kind}" for kind in KINDS)
    figure("F4", f"{count} mutated and {len(ODD)} odd pictures: 0 tracebacks; data check lists all {len(refused)} that "
                 f"are bad ({ofs}), exit code 2; {watch}")  # fmt: skip
    assert watch.peak < 500


@pytest.mark.parametrize("put", ["folder", "loop", "pipe"])
def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path, put):
    path = tmp_path / "odd.png"
    {"folder": path.mkdir, "loop": lambda: path.symlink_to(path), "pipe": lambda: os.mkfifo(path)}[put]()
    with pytest.raises(BadPictureError, match=r"odd\.png: not a readable picture"):
        read_picture(path)
    assert find_images(tmp_path) == []
