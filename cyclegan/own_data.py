"""Two folders and no settings: a doctor, a recipe, a training (`cyclegan train --x photos --y paintings`)."""

from collections.abc import Sequence
from pathlib import Path

from cyclegan.commands.train import train
from cyclegan.config import dump, load
from cyclegan.data.settings import names_of
from cyclegan.errors import UserError
from cyclegan.experiment import RUNS, Experiment
from cyclegan.invocation import command
from cyclegan.training.durable import replace_text


def train_folders(x: Path, y: Path, overrides: Sequence[str]) -> int:
    """Look at two folders of pictures, choose a recipe for them, show and save it; then train.

    A recipe chosen before is kept, so that the same command continues. Of many processes the first chooses.
    """
    import torch

    from cyclegan import distributed

    path = RUNS / "2".join(names_of(x, y)) / "recipe.yaml"
    with distributed.joined(torch.device("cpu")), distributed.first_goes_first():
        is_first = distributed.rank() == 0
        if is_first:
            _settle(path, x, y)
    run = train(path, overrides)
    if is_first:
        print(f"\ntranslate with\n  {command('translate', run, x, '--out', 'translated')}")
    return 0


def _settle(path: Path, x: Path, y: Path) -> None:
    """The recipe for two folders is in a file: one that was chosen for them before, or now."""
    if path.exists():
        data = load(path, Experiment).data
        if (data.x, data.y) != (x, y):
            raise UserError(f"{path}: is for {data.x} and {data.y}; rename one of the folders, or remove it")
        print(f"{path}: chosen before, and kept; remove it to have a new one chosen")
        return

    from cyclegan.data.check import check
    from cyclegan.precision import choose_device
    from cyclegan.recipes import choose

    report = check(x, y)
    print(report)
    recipe, reasons = choose(report, x, y, choose_device("auto").type)
    text = dump(Experiment(name="cyclegan", **recipe._asdict()))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, "".join(f"# {reason}\n" for reason in reasons) + text)
    other = command("train", path, "--set", "name=other")
    print(f"\n{path.read_text()}\nsaved as {path}: to train otherwise, change it there, and begin another run with")
    print(f"  {other}\n")
