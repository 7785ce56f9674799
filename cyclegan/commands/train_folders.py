"""`cyclegan train --x photos --y paintings`: check two folders of images, suggest a configuration, train."""

import math
from collections.abc import Sequence
from pathlib import Path

import yaml

from cyclegan.commands.invocation import command
from cyclegan.commands.train import train
from cyclegan.config import dump, load
from cyclegan.data.data_config import names_of
from cyclegan.errors import UserError
from cyclegan.experiment import RUNS, Experiment
from cyclegan.training.atomic import replace_text


def train_folders(x: Path, y: Path, overrides: Sequence[str]) -> int:
    """Check two folders of images, choose a recipe for them, show and save it; then train.

    An earlier recipe is kept, so that the same command continues, even if the folders have moved. With
    several processes, the first chooses.
    """
    import torch

    from cyclegan import distributed

    path = RUNS / "2".join(names_of(x, y)) / "recipe.yaml"
    with distributed.process_group(torch.device("cpu")), distributed.main_process_first():
        is_first = distributed.rank() == 0
        if is_first and path.exists():
            _require_known(path, x, y, overrides)
            print(f"{path}: chosen before, and kept; remove it to have a new one chosen")
        elif is_first:
            _choose(path, x, y)
        moved = not _is_for(load(path, Experiment), x, y)
    places = [_override("data.x", x), _override("data.y", y)] if moved else []
    run = train(path, [*places, *overrides])
    if is_first:
        print(f"\ntranslate with\n  {command('translate', run, x, '--out', 'translated')}")
    return 0


def _require_known(path: Path, x: Path, y: Path, overrides: Sequence[str]) -> None:
    """Raise UserError if the recipe is for other folders and no checkpoint identifies the run's images."""
    from cyclegan.training.checkpoint import list_checkpoints

    recipe = load(path, Experiment, overrides)
    if not _is_for(recipe, x, y) and not list_checkpoints(path.parent / recipe.name / "checkpoints"):
        raise UserError(
            f"{path}: is for {recipe.data.x} and {recipe.data.y}, and no checkpoint tells whether {x} and {y} hold the "
            "same pictures; rename one of the folders, change data.x and data.y there, or remove it"
        )


def _is_for(recipe: Experiment, x: Path, y: Path) -> bool:
    """Return True if a recipe names these folders, in any spelling."""
    pairs = ((recipe.data.x, x), (recipe.data.y, y))
    return all(named is not None and named.resolve() == given.resolve() for named, given in pairs)


def _override(key: str, folder: Path) -> str:
    """Return the text of a --set for a folder of any name."""
    text = yaml.dump(str(folder), default_style='"', allow_unicode=True, width=math.inf)
    return f"{key}={text.strip()}"


def _choose(path: Path, x: Path, y: Path) -> None:
    """Choose a recipe for two folders, show and save it."""
    from cyclegan.commands.suggest_config import choose
    from cyclegan.data.validate import check
    from cyclegan.device import choose_device

    report = check(x, y)
    print(report)
    recipe, reasons = choose(report, x, y, choose_device("auto").type)
    text = "".join(f"# {reason}\n" for reason in reasons)
    text += dump(Experiment(name="cyclegan", **recipe._asdict()))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
    print(f"\n{text}\nsaved as {path}: to train otherwise, change it there, and begin another run with")
    print(f"  {command('train', path, '--set', 'name=other')}\n")
