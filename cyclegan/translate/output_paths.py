"""Which picture goes where: names and tree are kept, nothing is lost on the way."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.images.files import holds
from cyclegan.images.find import find_images, none_found
from cyclegan.images.pixel_format import RGB, Kind


def plan(
    sources: Sequence[Path], out: Path, bits: int | None = None, kind: Kind = RGB, to: Kind = RGB
) -> Mapping[Path, Path]:
    """target -> source, of files and of every picture below folders; .tif, where a format has no room for the kind."""
    planned = without_losses(
        (out / (name if bits != 16 and holds(name.suffix, to) else name.with_suffix(".tif")), source)
        for name, source in _find(sources, arrays=not kind.is_rgb)
    )
    if not planned:
        raise none_found(*sources, arrays=not kind.is_rgb)
    return planned


def without_losses(pairs: Iterable[tuple[Path, Path]]) -> Mapping[Path, Path]:
    """target -> source. Refuses to write over a source, or two sources to one target."""
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
    """A folder for the snapshots of each target: sea/ for sea.png, but sea-png/ and sea-jpg/ beside a sea.jpg."""
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
    """Sorted by the names of the targets: frame 9 comes before frame 10, however many zeros they have."""

    def key(target: Path) -> list[str | int]:
        return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", target.as_posix()))]

    return {target: planned[target] for target in sorted(planned, key=key)}


def _find(sources: Sequence[Path], arrays: bool) -> Iterator[tuple[Path, Path]]:
    """(name below the output folder, source) of every picture."""
    for source in sources:
        if source.is_dir():
            yield from ((path.relative_to(source), path) for path in find_images(source, arrays))
        elif source.exists():
            yield Path(source.name), source
        else:
            raise UserError(f"{source}: does not exist; give picture files or folders")
