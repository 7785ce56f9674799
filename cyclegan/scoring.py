"""From a run, or from pictures that any program made, to what is known about how good they are.

Run        its test pictures in the directions it has learned: the newest weights, the best ones where pictures were
           kept aside to choose them, and rivals that need no training (fitted on at most 200 training pictures a side).
Folder     translations by their names: photo.jpg, photo_fake.png and photo_fake_B.png are translations of photo.*.
Pictures   reduced to 256 pixels on their longer side. Test pictures that are nearly some of the training are left out
           and counted.
Targets    Realism is measured by the test targets where there are 500 or more, else by the training targets, at most
           1,000 of them; the floor is then the other set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from cyclegan.data.duplicates import near_duplicates
from cyclegan.data.sources import Direction, Sources
from cyclegan.errors import UserError
from cyclegan.evaluation.assessment import as_markdown, assess
from cyclegan.evaluation.compare import Targets
from cyclegan.evaluation.evaluate import Evaluation, evaluate, translate
from cyclegan.evaluation.instruments import Pictures
from cyclegan.evaluation.report import Report
from cyclegan.evaluation.rivals import oracles, rivals
from cyclegan.evaluation.suite import Suite
from cyclegan.inference.loaded import Loaded
from cyclegan.metrics.cycle import cycle
from cyclegan.pictures import read_picture, reduced
from cyclegan.pixels.find import find_images, none_found
from cyclegan.protocols import Translator

SIZE = 256  # px of the longer side
ENOUGH = 500  # test targets, to measure realism by them
MOST = 1000  # targets that are looked at
FITTED = 200  # training pictures of a side that rivals are fitted on
CYCLES = 50  # test pictures that are translated there and back
SUFFIXES = ("_fake_A", "_fake_B", "_fake")  # of translations by other programs
OTHERS = ("_real", "_rec", "_idt")  # what the same programs put beside them

Item = TypeVar("Item")


class Asked(NamedTuple):
    """What an evaluation is to look at."""

    most: int | None = None  # test pictures, evenly spaced; None: all
    fetch: bool = False  # download the weights that metrics lack
    only: Sequence[str] | None = None  # names of metrics; None: all


class Task(NamedTuple):
    """What translations that somebody else made are scored with."""

    name: str
    sources: Sequence[Path]
    targets: Targets


def task_of_domain(sources: Sources, to: str | None) -> Task:
    """The test pictures of a domain, to the side of that name, by default Y."""
    sides = {direction.to: direction for direction in sources.directions()}
    side = sources.y if to is None else to
    if side not in sides:
        raise UserError(f"--to: {sources.domain} has the sides {' and '.join(sides)}, not '{side}'")
    found = sides[side]
    return Task(found.name, found.test_sources, choose_targets(found.train_targets, found.truths))


def task_of_folders(sources: Path, targets: Path, held_out: Path | None) -> Task:
    """Any folders."""
    places = [place for place in (sources, targets, held_out) if place is not None]
    found = {place: find_images(place) if place.is_dir() else [] for place in places}
    for place, pictures in found.items():
        if not pictures:
            raise none_found(place)
    references, floor = (evenly(found[place], MOST) if place else [] for place in (targets, held_out))
    return Task(f"{sources.absolute().name}2{targets.absolute().name}", found[sources], Targets(references, floor))


def assess_run(
    versions: Mapping[str, Loaded], sources: Sources, device: torch.device, asked: Asked
) -> dict[str, Report]:
    """The directions of a run; `versions` are its weights by the name of their row, the first is shown."""
    directions = sources.directions()
    learned = next(iter(versions.values())).translators
    return {
        there.name: _assess_direction(versions, there, back.to, sources, device, asked)
        for there, back in zip(directions, directions[::-1], strict=True)
        if there.to in learned
    }


def assess_folder(folder: Path, task: Task, device: torch.device, asked: Asked) -> Report:
    """Translations that somebody else made, beside what doing nothing reaches."""
    chosen = evenly(task.sources, asked.most)
    files = _translations(folder, chosen)
    sources = _read(chosen)
    translations = [reduced(read_picture(file), SIZE) for file in files]
    for file, source, translation in zip(files, sources, translations, strict=True):
        if source.shape != translation.shape:
            sizes = " and ".join(f"{picture.shape[1]}×{picture.shape[0]}" for picture in (translation, source))
            raise UserError(f"{file}: its size and that of its source are {sizes} pixels, reduced; make them alike")
    references, held_out = map(_read, task.targets)
    suite = Suite(sources, references, references, device=device, only=asked.only, fetch=asked.fetch)
    return Report(
        assessment=assess(suite, {folder.name: translations}, held_out),
        pictures={"source": sources, folder.name: translations},
        captions=[path.stem for path in chosen],
        shown=folder.name,
    )


def over_runs(scores: Sequence[Mapping[str, float]]) -> str:
    """Mean and standard deviation over runs, as of several seeds, of every score that all of them have; in Markdown."""
    shared = [name for name in scores[0] if all(name in each for each in scores)]
    if not shared:
        raise UserError("these runs have no score in common; give runs of one domain")
    rows = []
    for name in shared:
        values = np.array([each[name] for each in scores])
        rows.append([name, f"{values.mean():.4g} ± {values.std(ddof=1):.2g}", " ".join(f"{v:.4g}" for v in values)])
    return as_markdown([["", "mean ± sd", "each"], *rows])


def choose_targets(train: Sequence[Path], test: Sequence[Path]) -> Targets:
    """By whom realism is measured, and the others for the floor."""
    few = len(test) < ENOUGH and bool(train)
    references, held_out = (train, test) if few else (test, train)
    return Targets(evenly(references, MOST), evenly(held_out, MOST))


def evenly(items: Sequence[Item], count: int | None) -> list[Item]:
    """At most so many of them, evenly spaced."""
    if count is None or count >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _assess_direction(
    versions: Mapping[str, Loaded], there: Direction, home: str, sources: Sources, device: torch.device, asked: Asked
) -> Report:
    paths, targets, removed, remembered = there.test_sources, there.truths, 0, 0
    if not sources.paired_test:  # pairs were cut apart on purpose, and may be plain
        paths, *counts_x = _unseen(paths, there.train_sources)
        targets, *counts_y = _unseen(targets, there.train_targets)
        removed, remembered = map(sum, zip(counts_x, counts_y, strict=True))
    trivial = rivals(evenly(there.train_sources, FITTED), evenly(there.train_targets, FITTED))
    runs = {name: loaded.translator(there.to) for name, loaded in versions.items()}
    evaluation = _against_truth(trivial, runs, there, sources.margin) if sources.paired_test else None

    chosen = evenly(paths, asked.most)
    originals = _read(chosen)
    candidates = {name: one for name, one in trivial.items() if name != "identity"} | runs  # identity is the ceiling
    translations = {
        name: [translate(translator, picture, str(path)) for picture, path in zip(originals, chosen, strict=True)]
        for name, translator in candidates.items()
    }
    references, held_out = map(_read, choose_targets(there.train_targets, targets))
    trained = _read(evenly(there.train_targets, MOST))
    suite = Suite(originals, references, trained, device=device, only=asked.only, fetch=asked.fetch)
    assessment = assess(suite, translations, held_out)
    cycles = {
        name: [cycle(runs[name], loaded.translator(home), picture, device) for picture in evenly(originals, CYCLES)]
        for name, loaded in versions.items()
        if home in loaded.translators
    }
    return Report(
        assessment=replace(assessment, alarms={name: assessment.alarms[name] for name in runs}),  # rivals are not ill
        pictures={"source": originals, **translations},
        captions=[path.stem for path in chosen],
        shown=next(iter(versions)),
        evaluation=evaluation,
        cycles=cycles,
        removed=removed,
        remembered=remembered,
    )


def _unseen(test: list[Path], train: list[Path]) -> tuple[list[Path], int, int]:
    """(test pictures that are not nearly training ones, how many were left out, how many stay for want of others)."""
    twins = near_duplicates(test, train)
    unseen = [path for path in test if path not in twins]
    return (unseen, len(twins), 0) if unseen else (test, 0, len(twins))


def _against_truth(
    trivial: Mapping[str, Translator], runs: Mapping[str, Translator], there: Direction, margin: int
) -> Evaluation:
    seeing = oracles(there.test_sources, there.truths, margin)
    candidates = {**trivial, **runs, **seeing}
    return evaluate(candidates, there.test_sources, there.truths, margin, reference=list(trivial)[-1])


def _read(paths: Sequence[Path]) -> Pictures:
    return [reduced(read_picture(path), SIZE) for path in paths]


def _translations(folder: Path, originals: Sequence[Path]) -> list[Path]:
    """The translation of every original; of several of one stem, the one whose path is most like the original's."""
    found: dict[str, list[Path]] = {}
    for path in find_images(folder):
        if not path.stem.endswith(OTHERS):
            found.setdefault(_original(path.stem), []).append(path)
    missing = [path for path in originals if path.stem not in found]
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(originals)} sources have no translation there, {missing[0].name} for "
            "one: they are matched by name; translate them, too"
        )
    chosen: dict[Path, Path] = {}
    for original in originals:
        translation = max(reversed(found[original.stem]), key=lambda path: _likeness(path, original))
        if other := chosen.get(translation):
            raise UserError(f"{other} and {original}: have one translation, {translation}; translate both of them")
        chosen[translation] = original
    return list(chosen)


def _likeness(one: Path, other: Path) -> tuple[int, bool, int]:
    """Number of folders that two paths have in common at their ends; then equal suffixes; then a short first path."""
    pairs = zip(reversed(one.parent.parts), reversed(other.parent.parts), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return shared, one.suffix.lower() == other.suffix.lower(), -len(one.parts)


def _original(stem: str) -> str:
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem
