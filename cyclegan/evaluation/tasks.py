"""Tasks from a folder of translations, for a domain or any folders, and the choice of the scored images.

Names      photo.jpg, photo_fake.png and photo_fake_B.png are translations of photo.*.
Duplicates Test images that are nearly training images are left out and counted. Pairs are kept: they were cut
           from one image on purpose, and may be plain.
References Real images that realism is measured against; at most 1,000 of them.
"""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.duplicates import near_duplicates
from cyclegan.data.splits import MAX_REFERENCES, choose_references, find_splits
from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.images.find import find_images, none_found

SUFFIXES = ("_fake_A", "_fake_B", "_fake")  # of translations by other programs
OTHERS = ("_real", "_rec", "_idt")  # files that the same programs put beside them

Item = TypeVar("Item")


class Chosen(NamedTuple):
    """Images of a task that are scored."""

    task: Task
    duplicates: int = 0  # test images that are nearly training images, on both sides, and were left out
    kept_duplicates: int = 0  # near-duplicates that are scored, as their side has no other images


def task_of_domain(name: str, to: str | None = None) -> Task:
    """Return the test images of a domain, with the target of a name, by default Y.

    Raises UserError for an unknown target.
    """
    splits = find_splits(UnpairedConfig(domain=name))
    tasks = {task.to: task for task in splits.tasks()}
    target = splits.y.name if to is None else to
    if target not in tasks:
        raise UserError(f"--to: {name} has the targets {' and '.join(tasks)}, not '{target}'")
    return tasks[target]


def task_of_folders(sources: Path, targets: Path, held_out: Path | None = None) -> Task:
    """Return the task of any folders. Raises UserError for a folder without images."""
    folders = [folder for folder in (sources, targets, held_out) if folder is not None]
    found = {folder: find_images(folder) if folder.is_dir() else [] for folder in folders}
    for folder, images in found.items():
        if not images:
            raise none_found(folder)
    return Task(
        name=f"{sources.absolute().name}2{targets.absolute().name}",
        to=targets.absolute().name,
        sources=found[sources],
        references=found[targets],
        held_out=found[held_out] if held_out else (),
    )


def find_translations(folder: Path, sources: Sequence[Path]) -> dict[Path, Path]:
    """Map each source to its translation in a folder, by name; sources without a translation are missing.

    Of several translations of one stem, the one whose path is most similar to the source's is chosen. Raises
    UserError if two sources have the same translation.
    """
    found: dict[str, list[Path]] = {}
    for path in find_images(folder):
        if not path.stem.endswith(OTHERS):
            found.setdefault(_original(path.stem), []).append(path)
    chosen: dict[Path, Path] = {}  # translation -> source
    for source in (path for path in sources if path.stem in found):
        translation = max(reversed(found[source.stem]), key=lambda path: _likeness(path, source))
        if other := chosen.get(translation):
            raise UserError(f"{other} and {source}: have one translation, {translation}; translate both of them")
        chosen[translation] = source
    return {source: translation for translation, source in chosen.items()}


def _likeness(one: Path, other: Path) -> tuple[int, bool, int]:
    """Return a sort key for the similarity of two paths.

    The key holds the number of folders that they share at their ends, whether suffixes are equal, and a
    preference for a short first path.
    """
    pairs = zip(reversed(one.parent.parts), reversed(other.parent.parts), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return shared, one.suffix.lower() == other.suffix.lower(), -len(one.parts)


def choose(task: Task, limit: int | None = None) -> Chosen:
    """Leave out near-duplicates, then keep at most `limit` sources and 1,000 references, evenly spaced."""
    chosen = _without_duplicates(task)
    task = chosen.task
    task = task._replace(
        sources=subsample(task.sources, limit),
        truths=subsample(task.truths, limit),
        examples=subsample(task.examples, limit),
        references=subsample(task.references, MAX_REFERENCES),
        held_out=subsample(task.held_out, MAX_REFERENCES),
    )
    return chosen._replace(task=task)


def subsample(items: Sequence[Item], count: int | None) -> list[Item]:
    """Return at most `count` items, evenly spaced, including the first and the last."""
    if count is None or count >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _without_duplicates(task: Task) -> Chosen:
    train_sources, train_targets = task.fit
    if task.truths or not train_targets:
        return Chosen(task)
    kept, *of_sources = _unseen(task.sources, train_sources)
    targets, *of_targets = _unseen(_test_targets(task), train_targets)
    references, held_out = choose_references(train_targets, targets)
    examples = [example for path, example in zip(task.sources, task.examples, strict=False) if path in set(kept)]
    left = task._replace(sources=kept, references=references, held_out=held_out, examples=examples)
    return Chosen(left, of_sources[0] + of_targets[0], of_sources[1] + of_targets[1])


def _test_targets(task: Task) -> Sequence[Path]:
    return task.held_out if task.references == task.fit[1] else task.references


def _unseen(test: Sequence[Path], train: Sequence[Path]) -> tuple[Sequence[Path], int, int]:
    """Return (test images that are not nearly training images, number left out, number kept).

    Near-duplicates are kept if there are no others.
    """
    twins = near_duplicates(test, train)
    unseen = [path for path in test if path not in twins]
    return (unseen, len(twins), 0) if unseen else (test, 0, len(twins))


def _original(stem: str) -> str:
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem
