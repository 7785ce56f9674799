"""A small archive of a data set, to be unpacked as it is, beside others, or damaged."""

import zipfile
from pathlib import Path

GOOD = {"trainA/a.png": b"1", "trainB/b.jpg": b"2", "testA/c.webp": b"3", "testB/sub/d.png": b"4"}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path
