"""`cyclegan data`: list, fetch and check data sets."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclegan.errors import UserError, expanded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `cyclegan data`."""
    actions = parser.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="list all domains and where their images are")
    listing.set_defaults(run=lambda _: list_data())
    fetch = actions.add_parser("fetch", help="download or make the data set of a domain")
    fetch.add_argument("domain", help="photo2monet")
    fetch.set_defaults(run=lambda given: fetch_data(given.domain))
    check = actions.add_parser("check", help="count and open every image of a domain or a folder")
    check.add_argument(
        "targets", nargs="+", help="photo2monet, a folder, the two folders of a training, or an experiment file"
    )
    check.set_defaults(run=lambda given: check_data(given.targets))


def list_data() -> int:
    """Print all domains, their numbers of images and where they are."""
    from cyclegan.data.cards import list_domains

    return _print(list_domains())


def fetch_data(name: str) -> int:
    """Download, or make, the data set of a domain."""
    from cyclegan.data.cards import find_domain
    from cyclegan.data.fetch import obtain

    return _print(f"{name}: in {obtain(find_domain(name))}")


def check_data(targets: Sequence[str]) -> int:
    """Open every image of a domain, a folder, the two folders of a training, or those of an experiment."""
    from cyclegan.data.validate import check

    if len(targets) == 1 and Path(targets[0]).suffix in (".yaml", ".yml"):
        folders, formats = _of_experiment(expanded(targets[0]))
        report = check(*folders, kinds=formats)
    else:
        report = check(*map(_folder_or_domain, targets))
    print(report)
    return UserError.exit_code if report.bad else 0


def _of_experiment(path: Path) -> tuple[list[Path], list[Any]]:
    """Folders and pixel formats of the two sides of an experiment."""
    from cyclegan.config import load
    from cyclegan.data.cards import find_domain, locate
    from cyclegan.data.data_config import SidesConfig
    from cyclegan.data.splits import find_splits, formats_of
    from cyclegan.experiment import Experiment

    data = load(path, Experiment).data
    if not isinstance(data, SidesConfig) or (data.domain is None and data.x is None):
        raise UserError(f"{path}: has no two sides to check; give the folders of its images")
    config = replace(data, on_bad_image="error")
    if config.domain is not None:
        folders = [locate(find_domain(config.domain))]
    else:
        folders = [config.x or Path(), config.y or Path()]
    return folders, list(formats_of(config, find_splits(config)).values())


def _folder_or_domain(name: str) -> Path:
    """The folder of that name, else that of the domain; what looks like a path is never taken for a domain."""
    from cyclegan.data.cards import find_domain, locate

    folder = expanded(name)
    if folder.is_dir():
        return folder
    if folder.exists() or str(folder) != name or "/" in name or os.sep in name:
        raise UserError(f"{folder}: no such folder; give a folder of images")
    try:
        domain = find_domain(name)
    except UserError as error:
        raise UserError(f"{name}: no such folder, and no such domain either ({error})") from error
    return locate(domain)


def _print(text: str) -> int:
    print(text)
    return 0
