"""Count and open every picture of a data set or of any folder, so that no damaged one surprises a training.

A root with one of trainA trainB testA testB is a data set and must have all four; any other folder is one heap.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from cyclegan.data.cards import FOLDERS
from cyclegan.errors import UserError
from cyclegan.pictures import FORMATS, BadPictureError, find_pictures, open_picture, read_picture

THREADS = 2
SHOWN = 5  # the commonest sizes and modes


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found; `bad` is empty if all is well."""

    folder: Path
    counts: dict[str, int]  # sub-folder -> pictures
    sizes: Counter[str]  # "256×256" -> pictures, upright
    modes: Counter[str]  # as stored: "RGB", "L", "CMYK", … -> pictures
    bad: tuple[str, ...]  # each names a file or a folder, and why

    def __str__(self) -> str:
        """Some lines for people."""
        good = self.sizes.total()
        return "\n".join(
            [
                f"{self.folder}: {good} of {sum(self.counts.values())} pictures can be read",
                *(f"  {name:8} {count}" for name, count in self.counts.items()),
                f"  sizes    {_commonest(self.sizes)}",
                f"  modes    {_commonest(self.modes)}",
                *(f"bad: {line}" for line in self.bad),
            ]
        )


def check(folder: Path) -> Report:
    """Decode every picture below a folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    parts = [folder / name for name in FOLDERS] if any((folder / name).is_dir() for name in FOLDERS) else [folder]
    files = {part.name: find_pictures(part) for part in parts}
    seen = look_at_all([path for paths in files.values() for path in paths])
    pictures = [look for look in seen if not isinstance(look, BadPictureError)]
    return Report(
        folder=folder,
        counts={name: len(paths) for name, paths in files.items()},
        sizes=Counter(size for size, _ in pictures),
        modes=Counter(mode for _, mode in pictures),
        bad=(
            *(f"{part}: holds no picture ({' '.join(FORMATS)})" for part in parts if not files[part.name]),
            *(str(look) for look in seen if isinstance(look, BadPictureError)),
        ),
    )


def look_at_all(paths: Sequence[Path]) -> list[tuple[str, str] | BadPictureError]:
    """Of every picture its size and mode, or what is wrong with it."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(tqdm(pool.map(_look, paths), total=len(paths), desc="checking", disable=None, leave=False))


def _look(path: Path) -> tuple[str, str] | BadPictureError:
    """Size and mode of a picture, or what is wrong with it."""
    try:
        height, width = read_picture(path).shape[:2]
        with open_picture(path) as picture:
            return f"{width}×{height}", picture.mode
    except BadPictureError as error:
        return error


def _commonest(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(SHOWN))
    return f"{shown}, and {len(counts) - SHOWN} others" if len(counts) > SHOWN else shown or "none"
