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
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from cyclegan.data.duplicates import near_duplicates
from cyclegan.data.splits import Splits, choose_references
from cyclegan.data.task import Task as DataTask
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
from cyclegan.pictures import find_pictures, read_picture, reduced
from cyclegan.protocols import Translator

SIZE = 256  # px of the longer side
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


def task_of_domain(splits: Splits, to: str | None) -> Task:
    """The test pictures of a domain, to the side of that name, by default Y."""
    tasks = {task.to: task for task in splits.tasks()}
    side = splits.y.name if to is None else to
    if side not in tasks:
        raise UserError(f"--to: {splits.domain} has the sides {' and '.join(tasks)}, not '{side}'")
    found = tasks[side]
    return Task(found.name, found.sources, Targets(evenly(found.references, MOST), evenly(found.held_out, MOST)))


def task_of_folders(sources: Path, targets: Path, held_out: Path | None) -> Task:
    """Any folders."""
    places = [place for place in (sources, targets, held_out) if place is not None]
    found = {place: find_pictures(place) if place.is_dir() else [] for place in places}
    for place, pictures in found.items():
        if not pictures:
            raise UserError(f"{place}: no pictures there; give a folder of pictures")
    references, floor = (evenly(found[place], MOST) if place else [] for place in (targets, held_out))
    return Task(f"{sources.absolute().name}2{targets.absolute().name}", found[sources], Targets(references, floor))


def assess_run(
    versions: Mapping[str, Loaded], tasks: Sequence[DataTask], device: torch.device, asked: Asked
) -> dict[str, Report]:
    """The tasks that a run has learned; `versions` are its weights by the name of their row, the first is shown."""
    learned = next(iter(versions.values())).translators
    return {task.name: _assess_task(versions, task, device, asked) for task in tasks if task.to in learned}


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
    references, held_out = choose_references(train, test)
    return Targets(evenly(references, MOST), evenly(held_out, MOST))


def evenly(items: Sequence[Item], count: int | None) -> list[Item]:
    """At most so many of them, evenly spaced."""
    if count is None or count >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _assess_task(versions: Mapping[str, Loaded], task: DataTask, device: torch.device, asked: Asked) -> Report:
    train_sources, train_targets = task.fit
    home = next(iter(versions.values())).source(task.to)
    paths, removed, remembered = task.sources, 0, 0
    targets = task.truths or (task.held_out if task.references == train_targets else task.references)
    if not task.truths:  # pairs were cut apart on purpose, and may be plain
        paths, *counts_x = _unseen(paths, train_sources)
        targets, *counts_y = _unseen(targets, train_targets)
        removed, remembered = map(sum, zip(counts_x, counts_y, strict=True))
    trivial = rivals(evenly(train_sources, FITTED), evenly(train_targets, FITTED))
    runs = {name: loaded.translator(task.to) for name, loaded in versions.items()}
    evaluation = _against_truth(trivial, runs, task) if task.truths else None

    chosen = evenly(paths, asked.most)
    originals = _read(chosen)
    candidates = {name: one for name, one in trivial.items() if name != "identity"} | runs  # identity is the ceiling
    translations = {
        name: [translate(translator, picture, str(path)) for picture, path in zip(originals, chosen, strict=True)]
        for name, translator in candidates.items()
    }
    references, held_out = map(_read, choose_targets(train_targets, targets))
    trained = _read(evenly(train_targets, MOST))
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


def _unseen(test: Sequence[Path], train: Sequence[Path]) -> tuple[Sequence[Path], int, int]:
    """(test pictures that are not nearly training ones, how many were left out, how many stay for want of others)."""
    twins = near_duplicates(test, train)
    unseen = [path for path in test if path not in twins]
    return (unseen, len(twins), 0) if unseen else (test, 0, len(twins))


def _against_truth(trivial: Mapping[str, Translator], runs: Mapping[str, Translator], task: DataTask) -> Evaluation:
    seeing = oracles(task.sources, task.truths, task.border)
    candidates = {**trivial, **runs, **seeing}
    return evaluate(candidates, task.sources, task.truths, task.border, reference=list(trivial)[-1])


def _read(paths: Sequence[Path]) -> Pictures:
    return [reduced(read_picture(path), SIZE) for path in paths]


def _translations(folder: Path, originals: Sequence[Path]) -> list[Path]:
    """The translation of every original."""
    found = {_original(path.stem): path for path in find_pictures(folder) if not path.stem.endswith(OTHERS)}
    missing = [path for path in originals if path.stem not in found]
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {len(originals)} sources have no translation there, {missing[0].name} for "
            "one: they are matched by name; translate them, too"
        )
    return [found[path.stem] for path in originals]


def _original(stem: str) -> str:
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem
