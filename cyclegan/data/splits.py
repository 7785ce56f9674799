"""Training, validation and test files of X and Y, from a domain or from any folders.

Unreadable  files end a training that reads one. If they are to be skipped, every file is decoded before the
            first step and the bad ones are removed from the lists, so that the draws remain a function of the
            step alone, whatever the number of workers and of resumes. A share of bad files above
            data.max_bad_fraction is an error.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cyclegan.data.cards import find_domain, folders, locate
from cyclegan.data.combined import images_by_name, split_combined
from cyclegan.data.data_config import PairedConfig, SidesConfig
from cyclegan.data.task import Task
from cyclegan.data.validate import inspect_all, require_apart
from cyclegan.errors import UserError
from cyclegan.images.files import kind_of
from cyclegan.images.find import Found, describe_skipped, find_images, none_found, scan, skipped_below
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.images.rgb8 import BadPictureError

TEST_SHARE = 20  # one in so many images of a plain folder is held out for testing …
MIN_TEST = 4  # … but at least this many, up to a quarter; fewer give noisy scores
MIN_REFERENCES = 500  # test images of the target that are enough to measure realism
MAX_REFERENCES = 1000

Split = Literal["train", "test", "validation"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """Image files of X or of Y."""

    name: str  # what users call it: monet
    train: list[Path]
    test: list[Path]
    validation: list[Path] = field(default_factory=list)  # neither trained on nor tested on

    def without(self, bad: Iterable[Path]) -> "Side":
        """Return the side without some files, removed from training and test."""
        gone = set(bad)
        train, test = ([path for path in paths if path not in gone] for paths in (self.train, self.test))
        return replace(self, train=train, test=test)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Image files of both sides."""

    domain: str  # name of the data, and of the folder of its runs: photo2monet
    x: Side
    y: Side
    paired: frozenset[str] = frozenset()  # splits in which the images of X and Y correspond one to one
    border: int = 0  # px of the border of a test image that are not scored
    unreadable: list[BadPictureError] = field(default_factory=list)  # files that are left out, and why
    skipped: str = ""  # a line on the files whose names are not those of images, if there are any

    def tasks(self, split: Split = "test") -> list[Task]:
        """Return the tasks X → Y and Y → X."""
        return [self._task(source, target, split) for source, target in ((self.x, self.y), (self.y, self.x))]

    def _task(self, source: Side, target: Side, split: Split) -> Task:
        targets = getattr(target, split)
        references, held_out = choose_references(target.train, targets) if split == "test" else (targets, ())
        return Task(
            name=f"{source.name}2{target.name}",
            to=target.name,
            sources=getattr(source, split),
            truths=targets if split in self.paired else (),
            references=references,
            held_out=held_out,
            examples=[[style] for style in _examples(len(getattr(source, split)), targets)],
            fit=(source.train, target.train),
            border=self.border,
        )


def _examples(count: int, targets: Sequence[Path]) -> list[Path]:
    """Return one image of the target for each source, shifted by half the list.

    The image at the source's own position may be its truth and is therefore not used.
    """
    return [targets[(i + len(targets) // 2) % len(targets)] for i in range(count)] if targets else []


def choose_references(train: Sequence[Path], test: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return (real images that realism is measured against, other real images for the reference row).

    The first are the test images of the target if there are 500 or more, else its training images.
    """
    return (train, test) if len(test) < MIN_REFERENCES and train else (test, train)


def find_splits(config: SidesConfig) -> Splits:
    """Find the files of a domain, of two folders, or of a folder of combined images.

    Raises UserError if they are missing.
    """
    paired = isinstance(config, PairedConfig)
    if config.domain is not None:
        splits = _of_domain(config.domain, paired)
    elif isinstance(config, PairedConfig):
        splits = _of_pairs(config)
    else:
        splits = _of_folders(config)
    if config.on_bad_image == "skip":
        splits = _skip_unreadable(splits, config.max_bad_fraction)
    return _with_validation(splits, config.validation) if config.validation else splits


def formats_of(config: SidesConfig, splits: Splits) -> dict[str, PixelFormat]:
    """Return the pixel formats of X and Y, from the settings and the first training image of each side."""
    return {
        "x": kind_of(splits.x.train[0], config.channels_x, config.range_x, "data.range_x"),
        "y": kind_of(splits.y.train[0], config.channels_y, config.range_y, "data.range_y"),
    }


def _of_domain(name: str, paired: bool) -> Splits:
    domain = find_domain(name)
    card = domain.card
    if paired and not card.paired:
        raise UserError(f"data.domain: {name} has no pairs to train on; take data.name unpaired, or another domain")
    places = folders(domain, locate(domain))
    files = {part: find_images(folder) for part, folder in places.items()}
    x, y = (Side(name=getattr(domain, side), train=files[f"train_{side}"], test=files[f"test_{side}"]) for side in "xy")
    if paired:
        _require_aligned(name, x.train, y.train)
    splits = frozenset({"train", "test", "validation"} if paired else {"test"} if card.paired_test else ())
    skipped = skipped_below(places.values())
    return Splits(domain=name, x=x, y=y, paired=splits, border=card.margin, skipped=skipped)


def _of_folders(config: SidesConfig) -> Splits:
    places = {side: _folder(config, side) for side in ("x", "y")}
    found = {side: _scan(config, side, folder) for side, folder in places.items()}
    require_apart(*places.values())
    sides = []
    for name, (side, folder) in zip(config.side_names, places.items(), strict=True):
        train, test = split_test(found[side].images, folder)
        sides.append(Side(name=name, train=train, test=test))
    skipped = describe_skipped(found["x"].skipped + found["y"].skipped)
    return Splits(domain="2".join(config.side_names), x=sides[0], y=sides[1], skipped=skipped)


def _scan(config: SidesConfig, side: str, folder: Path) -> Found:
    """List the images of a side, including arrays if the side is not 8-bit RGB.

    Raises UserError if there are none.
    """
    arrays = not config.is_usual(side)  # type: ignore[arg-type]
    found = scan(folder, arrays=arrays)
    if not found.images:
        raise none_found(folder, arrays=arrays)
    return found


def _of_pairs(config: PairedConfig) -> Splits:
    """Return pairs from two folders by relative name without suffix, or from combined images."""
    if config.combined is not None:
        return _of_combined(config, config.combined)
    x, y = (_folder(config, side) for side in ("x", "y"))
    require_apart(x, y)
    found = [images_by_name(x, not config.is_usual("x")), images_by_name(y, not config.is_usual("y"))]
    alone = found[0].keys() ^ found[1].keys()
    if alone:
        raise UserError(
            f"{x} and {y}: {len(alone)} images have no partner of the same name, {min(alone)} for one; "
            "pairs are matched by name without suffix: rename or remove them"
        )
    names = [
        [path.relative_to(x).as_posix() for path in part] for part in split_test([x / n for n in sorted(found[0])], x)
    ]
    train, test = ([[side[name] for name in part] for side in found] for part in names)
    return _paired(config, train, test, "2".join(config.side_names))


def _of_combined(config: PairedConfig, folder: Path) -> Splits:
    """Return the halves of the images below a folder, or below its sub-folders train and test (and val)."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; data.combined names a folder of images A|B")
    halves = split_combined(folder)
    a, b = ("A", "B") if config.direction == "a2b" else ("B", "A")
    train, test = ([find_images(halves / f"{part}{side}") for side in (a, b)] for part in ("train", "test"))
    if not test[0]:
        partner = dict(zip(*train, strict=True))
        train, test = ([x, [partner[path] for path in x]] for x in split_test(train[0], halves))
    return _paired(config, train, test, f"{folder.absolute().name}-{config.direction}")


def _paired(config: PairedConfig, train: list[list[Path]], test: list[list[Path]], domain: str) -> Splits:
    x, y = (Side(name=name, train=train[i], test=test[i]) for i, name in enumerate(config.side_names))
    return Splits(domain=domain, x=x, y=y, paired=frozenset({"train", "test", "validation"}))


def _folder(config: SidesConfig, side: str) -> Path:
    folder = getattr(config, side)
    if folder is None or not folder.is_dir():
        raise UserError(f"{folder}: no such folder; data.x and data.y name two folders of images")
    return folder


def _require_aligned(name: str, x: Sequence[Path], y: Sequence[Path]) -> None:
    """Refuse sides of a paired domain whose sorted names do not correspond (1_A.jpg and 1_B.jpg do)."""
    stems = [[path.stem.removesuffix("_A").removesuffix("_B") for path in side] for side in (x, y)]
    if stems[0] != stems[1]:
        raise UserError(f"{name}: its training images do not correspond by name; fetch the data set anew")


def _skip_unreadable(splits: Splits, most: float) -> Splits:
    """Leave unreadable files out; of a pair with one unreadable image, leave both out."""
    bad: dict[Path, BadPictureError] = {}
    for side in (splits.x, splits.y):
        paths = [*side.train, *side.test]
        found = {
            p: look for p, look in zip(paths, inspect_all(paths), strict=True) if isinstance(look, BadPictureError)
        }
        if len(found) > most * len(paths):
            raise UserError(
                f"data.on_bad_image: {len(found)} of {len(paths)} pictures of {side.name} cannot be read, "
                f"above data.max_bad_fraction ({most:.0%}), as {next(iter(found.values()))}"
            )
        bad |= found
    gone = set(bad)
    for part in splits.paired - {"validation"}:
        pairs = zip(getattr(splits.x, part), getattr(splits.y, part), strict=True)
        gone.update(path for pair in pairs if not gone.isdisjoint(pair) for path in pair)
    return replace(splits, x=splits.x.without(gone), y=splits.y.without(gone), unreadable=list(bad.values()))


def split_test(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Return (training images, test images), chosen by the hash of the name.

    An image that is added later therefore changes the split of few others.
    """
    if len(paths) < 2:
        raise UserError(f"{folder}: {len(paths)} readable pictures found, at least 2 are needed")
    count = max(1, len(paths) // TEST_SHARE, min(MIN_TEST, len(paths) // 4))
    return _divide(paths, count, lambda path: path.relative_to(folder).as_posix())


def _with_validation(splits: Splits, share: float) -> Splits:
    """Move a share of the training images to validation; pairs stay together."""
    train_x, validation_x = keep_validation(splits.x.train, share)
    if "train" in splits.paired:
        partner = dict(zip(splits.x.train, splits.y.train, strict=True))
        train_y, validation_y = ([partner[path] for path in part] for part in (train_x, validation_x))
    else:
        train_y, validation_y = keep_validation(splits.y.train, share)
    x = replace(splits.x, train=train_x, validation=validation_x)
    return replace(splits, x=x, y=replace(splits.y, train=train_y, validation=validation_y))


def keep_validation(paths: Sequence[Path], share: float) -> tuple[list[Path], list[Path]]:
    """Return (training images, validation images), chosen by a hash of the name.

    The hash differs from that of `split_test`.
    """
    if not share:
        return list(paths), []
    count = min(max(1, round(share * len(paths))), len(paths) - 1)
    return _divide(paths, count, lambda path: f"validation {path.name}")


def _divide(paths: Sequence[Path], count: int, name: Callable[[Path], str]) -> tuple[list[Path], list[Path]]:
    """Return (the other paths, the `count` paths whose names have the smallest SHA-256)."""
    digests = {path: hashlib.sha256(name(path).encode(errors="surrogateescape")).digest() for path in paths}
    taken = set(sorted(paths, key=digests.__getitem__)[:count])
    return [path for path in paths if path not in taken], sorted(taken)
