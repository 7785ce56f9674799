"""Provenance of a number or an image: versions, machine and commit."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cyclegan import __version__


def environment() -> dict[str, Any]:
    """Return versions, commit and threads, kept with the run.

    On the CPU the bits of a run are a function of all of them.
    """
    import torch  # imported here: programs that do not load PyTorch do not call this

    packages = ("torch", "torchvision", "numpy", "scikit-image", "pillow", "safetensors")
    return {
        "cyclegan": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        **{package: version(package) for package in packages},
    }


def commit() -> str | None:
    """Return the commit of the code, with a + if files have changed since; None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
