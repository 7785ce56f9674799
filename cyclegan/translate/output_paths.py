"""Output paths of images: names and folder tree are kept, and no file is overwritten."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.images.files import holds
from cyclegan.images.find import find_images, none_found
from cyclegan.images.pixel_format import RGB, PixelFormat


def plan(
    sources: Sequence[Path], out: Path, bits: int | None = None, kind: PixelFormat = RGB, to: PixelFormat = RGB
) -> Mapping[Path, Path]:
    """Map targets to sources, for files and for every image below folders.

    A target becomes a .tif file where its format cannot store the kind of image.
    """
    planned = without_losses(
        (out / (name if bits != 16 and holds(name.suffix, to) else name.with_suffix(".tif")), source)
        for name, source in _find(sources, arrays=not kind.is_rgb)
    )
    if not planned:
        raise none_found(*sources, arrays=not kind.is_rgb)
    return planned


def without_losses(pairs: Iterable[tuple[Path, Path]]) -> Mapping[Path, Path]:
    """Map targets to sources; refuse to overwrite a source, or to write two sources to one target."""
    planned: dict[Path, Path] = {}
    for target, source in pairs:
        other = planned.setdefault(target, source)
        if other.resolve() != source.resolve():
            raise UserError(f"{other} and {source}: both would become {target}; give each an --out of its own")
    originals = {source.resolve() for source in planned.values()}
    for target in planned:
        if target.resolve() in originals:
            raise UserError(f"{target}: is a source and would be written over; give another --out")
    return planned


def snapshot_folders(targets: Collection[Path]) -> Mapping[Path, Path]:
    """Choose a folder for the snapshots of each target.

    The folder of sea.png is sea/; if there is a sea.jpg too, the folders are sea-png/ and sea-jpg/.
    """
    stems = Counter(target.with_suffix("") for target in targets)
    folders = {target: target.with_suffix("") for target in targets}
    for target, folder in folders.items():
        if stems[folder] > 1:
            folders[target] = target.with_name(f"{target.stem}-{target.suffix[1:]}")
    for folder, times in Counter(folders.values()).items():
        if times > 1:
            raise UserError(f"--every: the snapshots of {times} images would go to {folder}; rename one of these")
    return folders


def in_natural_order(planned: Mapping[Path, Path]) -> Mapping[Path, Path]:
    """Sort by the names of the targets: frame 9 comes before frame 10, with or without leading zeros."""

    def key(target: Path) -> list[str | int]:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", target.as_posix()))]

    return {target: planned[target] for target in sorted(planned, key=key)}


def _find(sources: Sequence[Path], arrays: bool) -> Iterator[tuple[Path, Path]]:
    """Yield (path below the output folder, source) of every image."""
    for source in sources:
        if source.is_dir():
            yield from ((path.relative_to(source), path) for path in find_images(source, arrays))
        elif source.exists():
            yield Path(source.name), source
        else:
            raise UserError(f"{source}: does not exist; give picture files or folders")
