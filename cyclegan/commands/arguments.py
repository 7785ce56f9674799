"""Argument types and printed lines that several commands share."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from cyclegan.errors import expanded


def positive(text: str) -> int:
    """Parse a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return int(text)


def folder(text: str) -> Path:
    """Parse the name of a folder; refuse an empty one, as of an unset variable.

    An empty name would mean the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a folder of images")
    return expanded(text)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add --set, which changes settings of a file."""
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="change a setting; repeatable")


def print_skipped(places: Iterable[Path], arrays: bool = False) -> None:
    """Print one line on the files below folders that are not read, if there are any."""
    from cyclegan.images.find import skipped_below

    if line := skipped_below(places, arrays):
        print(line, file=sys.stderr)
