"""Which picture files a training reads and which it must never see: those of a domain, or of any two folders.

Bad ones    end the training that comes to one. Where they are to be skipped, every file is decoded before the first
            step and the bad ones leave the lists, so that what is drawn remains a function of the step alone, whatever
            reads it and however often it is resumed. More of them than data.most_bad are no accident, and end it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cyclegan.data.cards import find_domain, folders, locate
from cyclegan.data.check import look_at_all, require_apart
from cyclegan.data.settings import UnpairedConfig
from cyclegan.errors import UserError, printable
from cyclegan.pictures import BadPictureError
from cyclegan.pixels.files import kind_of
from cyclegan.pixels.find import describe_skipped, find_images, none_found, scan, skipped_below
from cyclegan.pixels.kind import Kind

HELD_OUT = 20  # of the pictures of a plain folder, one in so many is kept from training …
ENOUGH = 4  # … or so many, of which a quarter may be: with fewer the scores of a discriminator are a matter of chance


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The picture files of both sides."""

    domain: str
    x: str  # what the sides are called
    y: str
    train_x: list[Path]
    train_y: list[Path]
    test_x: list[Path]
    test_y: list[Path]
    validation_x: list[Path] = field(default_factory=list)  # neither trained on nor tested on
    validation_y: list[Path] = field(default_factory=list)
    paired_test: bool = False  # the test pictures of the two sides correspond one to one
    margin: int = 0  # pixels of their border that are not scored
    left_out: list[BadPictureError] = field(default_factory=list)  # the files that are skipped, and why
    skipped: str = ""  # a line on the files that are no images by their names, if there are any

    def directions(self) -> list["Direction"]:
        """X → Y and Y → X."""
        x, y = (self.x, self.train_x, self.test_x), (self.y, self.train_y, self.test_y)
        return [Direction(f"{a[0]}2{b[0]}", b[0], *a[1:], *b[1:]) for a, b in ((x, y), (y, x))]


class Direction(NamedTuple):
    """The pictures of a translation from one side to the other."""

    name: str
    to: str
    train_sources: list[Path]
    test_sources: list[Path]
    train_targets: list[Path]
    truths: list[Path]


def find_sources(config: UnpairedConfig) -> Sources:
    """The files of a domain, or of the two folders x and y; some of the training ones kept aside where asked to."""
    sources = _of_domain(config.domain) if config.domain is not None else _of_folders(config)
    if config.on_bad_picture == "skip":
        sources = _leave_out_bad(sources, config.most_bad)
    if not config.validation:
        return sources
    train_x, validation_x = _set_aside(sources.train_x, config.validation)
    train_y, validation_y = _set_aside(sources.train_y, config.validation)
    return replace(sources, train_x=train_x, train_y=train_y, validation_x=validation_x, validation_y=validation_y)


def _of_domain(name: str) -> Sources:
    domain = find_domain(name)
    places = folders(domain, locate(domain))
    files = {part: find_images(folder) for part, folder in places.items()}
    return Sources(
        domain=name,
        x=domain.x,
        y=domain.y,
        **files,
        paired_test=domain.card.paired_test,
        margin=domain.card.margin,
        left_out=[],
        skipped=skipped_below(places.values()),
    )


def _of_folders(config: UnpairedConfig) -> Sources:
    sides, names, skipped = [], [], Counter[str]()
    for folder, usual in ((config.x, config.is_usual("x")), (config.y, config.is_usual("y"))):
        if folder is None or not folder.is_dir():
            raise UserError(f"{folder}: no such folder; data.x and data.y name two folders of pictures")
        found = scan(folder, arrays=not usual)
        if not found.images:
            raise none_found(folder, arrays=not usual)
        sides.append(hold_out(found.images, folder))
        skipped += found.skipped
        names.append(folder)
    require_apart(*names)
    (train_x, test_x), (train_y, test_y) = sides
    name_x, name_y = names_of(*names)
    return Sources(
        domain=f"{name_x}2{name_y}",
        x=name_x,
        y=name_y,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        skipped=describe_skipped(skipped),
    )


def names_of(x: Path, y: Path) -> tuple[str, str]:
    """What the sides of two folders are called."""
    name_x, name_y = printable(x.absolute().name), printable(y.absolute().name)
    return (name_x, name_y) if name_x != name_y else ("x", "y")


def kinds_of_sides(config: UnpairedConfig, sources: Sources) -> tuple[Kind, Kind]:
    """What the files of X and Y hold, by the settings and the first training picture of each."""
    return (
        kind_of(sources.train_x[0], config.channels_x, config.range_x, "data.range_x"),
        kind_of(sources.train_y[0], config.channels_y, config.range_y, "data.range_y"),
    )


def _leave_out_bad(sources: Sources, most: float) -> Sources:
    """The same without the pictures that cannot be read; of two test pictures that correspond, both go."""
    sides = [(sources.x, sources.train_x, sources.test_x), (sources.y, sources.train_y, sources.test_y)]
    bad: dict[Path, BadPictureError] = {}
    for name, train, test in sides:
        looks = zip([*train, *test], look_at_all([*train, *test]), strict=True)
        found = {path: look for path, look in looks if isinstance(look, BadPictureError)}
        if len(found) > most * (len(train) + len(test)):
            raise UserError(
                f"data.on_bad_picture: {len(found)} of {len(train) + len(test)} pictures of {name} cannot be read, "
                f"above data.most_bad ({most:.0%}), as {next(iter(found.values()))}"
            )
        bad |= found
    test_x, test_y = ([path for path in paths if path not in bad] for paths in (sources.test_x, sources.test_y))
    if sources.paired_test:
        pairs = [pair for pair in zip(sources.test_x, sources.test_y, strict=True) if bad.keys().isdisjoint(pair)]
        test_x, test_y = [x for x, _ in pairs], [y for _, y in pairs]
    return replace(
        sources,
        train_x=[path for path in sources.train_x if path not in bad],
        train_y=[path for path in sources.train_y if path not in bad],
        test_x=test_x,
        test_y=test_y,
        left_out=list(bad.values()),
    )


def hold_out(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """(kept, held out): chosen by the hash of the name, so that a picture added later moves few others."""
    if len(paths) < 2:
        raise UserError(f"{folder}: {len(paths)} readable pictures found, at least 2 are needed")
    count = max(1, len(paths) // HELD_OUT, min(ENOUGH, len(paths) // 4))
    return _divide(paths, count, lambda path: path.relative_to(folder).as_posix())


def _set_aside(paths: Sequence[Path], share: float) -> tuple[list[Path], list[Path]]:
    """(for training, for validation), by the hash of the name: salted, lest it be that of `hold_out`."""
    count = min(max(1, round(share * len(paths))), len(paths) - 1)
    return _divide(paths, count, lambda path: f"validation {path.name}")


def _divide(paths: Sequence[Path], count: int, name: Callable[[Path], str]) -> tuple[list[Path], list[Path]]:
    """(the others, the `count` whose names have the smallest SHA-256)."""
    taken = set(
        sorted(paths, key=lambda path: hashlib.sha256(name(path).encode(errors="surrogateescape")).digest())[:count]
    )
    return [path for path in paths if path not in taken], sorted(taken)
