"""Check of a data set before training: open every image, and report problems and their effect on training.

A single root with one of trainA trainB testA testB is a data set and must have all four. Any other folder is
one set of images, and so is each of two folders. Unusable files are `bad`. Usable images that may give poor
results are reported as a `note`: duplicates (in one folder, on both sides, in training and test), small
images, and the numbers of grey and transparent ones.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cyclegan.data.cards import FOLDERS
from cyclegan.data.duplicates import nearest, repeated, shapes
from cyclegan.errors import UserError
from cyclegan.images.files import read_raster
from cyclegan.images.find import describe_skipped, none_found, scan
from cyclegan.images.frames import count_frames
from cyclegan.images.pillow import flattened
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.images.raster import Raster
from cyclegan.images.rgb8 import BadPictureError

THREADS = 2
SHOWN = 5  # the most common sizes and modes, and images named in a note
SMALL = 64  # pixels of the shorter side: the smallest crop size in common use
COLORED = 8  # levels between the channels of a pixel above which it is colored; JPEG adds some to grey


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageInfo:
    """Properties of one image."""

    path: Path
    width: int  # upright
    height: int
    mode: str  # as stored: "RGB", "L", "CMYK", "TIFF of 3 × uint16", …
    transparent: bool
    grey: bool
    frames: int = 1  # number of frames or pages; the first is read
    shape: np.ndarray  # float32; see cyclegan.data.duplicates
    peak: int | None = None  # the highest value of 16 bits whose range is not declared


@dataclass(frozen=True, kw_only=True)
class Report:
    """Result of a check; `bad` is empty if all images can be used."""

    folders: tuple[Path, ...]
    counts: dict[str, int]  # part -> number of images, bad ones included
    looks: dict[str, list[ImageInfo]]  # part -> the good ones
    bad: tuple[str, ...]  # each names a file or a folder, and why
    skipped: dict[str, Counter[str]] = field(default_factory=dict)  # part -> suffix -> files

    @property
    def all_looks(self) -> list[ImageInfo]:
        """Properties of the good images of all parts."""
        return [look for of_part in self.looks.values() for look in of_part]

    @property
    def sizes(self) -> Counter[str]:
        """Number of images of each size, such as "256×256"."""
        return Counter(f"{look.width}×{look.height}" for look in self.all_looks)

    @property
    def modes(self) -> Counter[str]:
        """Number of images of each mode, such as "RGB"."""
        return Counter(look.mode for look in self.all_looks)

    def notes(self) -> Iterator[str]:
        """Describe properties that are allowed but may give poor results."""
        for where, part, twins in self._near_duplicates():
            counted = f"{len(twins):,} of {_many(len(self.looks[part]))}"
            named = _some(f"{a.path} = {b.path}" for a, b in twins)
            yield f"near duplicates{where}: {counted} in {part} could be left out: {named}"
        small = [look for look in self.all_looks if min(look.width, look.height) < SMALL]
        if small:
            named = _some(f"{look.path} ({look.width}×{look.height})" for look in small)
            yield f"{_many(len(small))} smaller than {SMALL} pixels: {named}"
        for part, of_part in self.looks.items():
            grey, clear = sum(look.grey for look in of_part), sum(look.transparent for look in of_part)
            if grey:
                yield f"{_many(grey)} of {len(of_part)} in {part} without color"
            if several := sum(look.frames > 1 for look in of_part):
                first = "with more than one frame or page; training reads the first"
                yield f"{_many(several)} of {len(of_part)} in {part} {first}"
            if clear:
                yield f"{_many(clear)} of {len(of_part)} in {part} with an alpha channel, to be laid on white"
        yield from self._unused_ranges()

    def _unused_ranges(self) -> Iterator[str]:
        """Describe parts whose 16-bit images use less than half of the range.

        Such images would be almost black in training.
        """
        for i, (part, of_part) in enumerate(self.looks.items()):
            peaks = [look.peak for look in of_part if look.peak is not None]
            top = 2 ** max(peaks, default=65535).bit_length() - 1
            if 0 < top < 65535:
                key = f"data.range_{'xy'[_side(i, part, self.looks)]}"
                values = f"the values of {_many(len(peaks))} of 16 bits in {part}"
                yield f"{values} use 0…{max(peaks)} of 65,535: declare {key}, as [0, {top}]"

    def _near_duplicates(self) -> Iterator[tuple[str, str, list[tuple[ImageInfo, ImageInfo]]]]:
        """Find near-duplicates as (location, part, pairs of images).

        Each pair is the image that is kept, then the image of this part that could be left out.
        """
        every = {part: np.stack([look.shape for look in looks]) for part, looks in self.looks.items() if looks}
        for part, of_part in every.items():
            if found := repeated(of_part):
                yield "", part, self._pairs(found, part, part)
        for one, other in combinations(every, 2):
            if found := nearest(every[other], every[one]):
                yield f" in both {one} and {other}", other, self._pairs(found, one, other)

    def _pairs(self, found: Mapping[int, int], one: str, other: str) -> list[tuple[ImageInfo, ImageInfo]]:
        """Return pairs of images of two parts; `found` maps positions in the second part to the first."""
        return [(self.looks[one][first], self.looks[other][again]) for again, first in found.items()]

    def __str__(self) -> str:
        """Format the report for reading."""
        skipped = describe_skipped(sum(self.skipped.values(), Counter[str]()))
        return "\n".join(
            [
                f"{' and '.join(map(str, self.folders))}: "
                f"{len(self.all_looks)} of {sum(self.counts.values())} pictures can be read",
                *(f"  {name:8} {count}" for name, count in self.counts.items()),
                f"  sizes    {_commonest(self.sizes)}",
                f"  modes    {_commonest(self.modes)}",
                *filter(None, [skipped]),
                *(f"note: {line}" for line in self.notes()),
                *(f"bad: {line}" for line in self.bad),
            ]
        )


def check(*folders: Path, kinds: Sequence[PixelFormat] = (RGB, RGB)) -> Report:
    """Decode every image below one folder, or below two folders that are the sides of a training.

    kinds  kinds of the files of the two sides
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
    require_apart(*folders)
    parts = _parts(folders)
    kind_of = {name: kinds[_side(i, name, parts)] for i, name in enumerate(parts)}
    found = {name: scan(part, arrays=not kind_of[name].is_rgb) for name, part in parts.items()}
    seen = {name: inspect_all(images, kind_of[name]) for name, (images, _) in found.items()}
    empty = [name for name, (images, _) in found.items() if not images]
    return Report(
        folders=folders,
        counts={name: len(images) for name, (images, _) in found.items()},
        looks={name: [look for look in looks if isinstance(look, ImageInfo)] for name, looks in seen.items()},
        bad=(
            *(str(none_found(parts[name], arrays=not kind_of[name].is_rgb)) for name in empty),
            *(str(look) for looks in seen.values() for look in looks if isinstance(look, BadPictureError)),
        ),
        skipped={name: skipped for name, (_, skipped) in found.items()},
    )


def require_apart(*folders: Path) -> None:
    """Refuse two sides that share images.

    They do if they are one folder or one contains the other, however the paths are spelled.
    """
    for one, other in permutations(folders, 2):
        if one.samefile(other):
            raise UserError(f"{one} and {other}: are the same folder; give one for each side")
        if one.resolve().is_relative_to(other.resolve()):
            raise UserError(f"{one} and {other}: the first lies in the second; give each side a folder of its own")


def _parts(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the parts that are counted separately, by name.

    They are the folders of a single data set, or each of several folders.
    """
    if len(folders) > 1:
        return {str(folder): folder for folder in folders}
    (root,) = folders
    official = [root / name for name in FOLDERS] if any((root / name).is_dir() for name in FOLDERS) else [root]
    return {part.absolute().name: part for part in official}


def _side(index: int, part: str, parts: Collection[str]) -> int:
    """Return 0 for X and 1 for Y: the second of two folders, or a part of a data set that ends in B."""
    return int(part.endswith("B")) if part in FOLDERS else index % 2 * (len(parts) == 2)


def inspect_all(paths: Sequence[Path], kind: PixelFormat = RGB) -> list[ImageInfo | BadPictureError]:
    """Return the properties of each image of a kind, or the error of an unreadable one."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(
            tqdm(
                pool.map(partial(_look, kind=kind), paths), total=len(paths), desc="checking", disable=None, leave=False
            )
        )


def _look(path: Path, kind: PixelFormat) -> ImageInfo | BadPictureError:
    try:
        raster, frames = read_raster(path, kind), count_frames(path, kind)
    except BadPictureError as error:
        return error
    array = _visible(raster, kind)
    small = np.asarray(Image.fromarray(array).resize((32, 32), Image.Resampling.BOX)).astype(int)
    return ImageInfo(
        path=path,
        width=array.shape[1],
        height=array.shape[0],
        mode=raster.tags.mode,
        transparent=raster.alpha is not None,
        frames=frames,
        grey=bool((small.max(axis=2) - small.min(axis=2)).max() <= COLORED),
        shape=shapes([array])[0],
        peak=int(raster.values.max()) if raster.values.dtype == np.uint16 and kind.range is None else None,
    )


def _visible(raster: Raster, kind: PixelFormat) -> np.ndarray:
    """Convert to 8-bit RGB; images of other kinds use their first channels."""
    if kind.is_rgb:
        return flattened(raster)
    levels = kind.like(raster.values.dtype.name).levels(raster.values[..., : 3 if kind.channels > 2 else 1])
    return flattened(Raster(values=((levels + 1) * 127.5).round().astype(np.uint8), alpha=None))


def _commonest(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(SHOWN))
    return f"{shown}, and {len(counts) - SHOWN} others" if len(counts) > SHOWN else shown or "none"


def _many(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _some(names: Iterable[str]) -> str:
    """Join the first names."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (", …" if len(every) > SHOWN else "")
