"""How fast the library is here, against plain code that computes the same: a table as Markdown and as JSON.

    python benchmarks/run.py                   all benchmarks, into benchmarks/results/<device>.md and .json
    python benchmarks/run.py adain --rounds 5  one of them, fewer rounds; the sections of the others stay as they are
    python benchmarks/run.py --quick           tiny images, to see that it works; the figures mean nothing

Every benchmark has a process of its own, so that it finds no memory that another has not given back, and one that
fails costs nothing but its own tables: what it had before stays. Each is saved as soon as it is done. Only ratios
within one table are to be compared. CYCLEGAN_WEIGHTS, if set, gives the released weights.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import record
import torch
from paired import LEAST, markdown

from cyclegan.device import choose_device
from cyclegan.evaluation.timing import device_name
from cyclegan.training.provenance import commit

BENCHMARKS = ("step", "small", "cost", "translation", "tiles", "folder", "pipeline", "adain", "gatys")  # modules
RESULTS = Path(__file__).parent / "results"
ROUNDS = 9
QUICK_ROUNDS = 3
ALONE = "--alone"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are asked for; the exit code is 1 if one has failed."""
    asked = parse(arguments)
    if asked.alone:
        run_here(asked.alone, asked)
        return 0
    failed = [name for name in asked.names or BENCHMARKS if run_alone(name, asked)]
    if failed:
        print(f"failed, see above: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="tiny images, few rounds")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}")
    parser.add_argument("--device", default="auto", help="cpu, cuda, …")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the files")
    parser.add_argument(ALONE, choices=BENCHMARKS, help=argparse.SUPPRESS)  # in this very process
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in BENCHMARKS]:
        parser.error(f"'{unknown[0]}' is no benchmark; choose from {', '.join(BENCHMARKS)}")
    if asked.rounds is not None and asked.rounds < 1:
        parser.error("--rounds: must be at least 1")
    return asked


def run_alone(name: str, asked: argparse.Namespace) -> int:
    """In a process of its own; its exit code comes back."""
    options = ["--device", asked.device, "--out", str(asked.out), *["--quick"] * asked.quick]
    if asked.rounds:
        options += ["--rounds", str(asked.rounds)]
    return subprocess.run([sys.executable, __file__, ALONE, name, *options], check=False).returncode


def run_here(name: str, asked: argparse.Namespace) -> None:
    """In this process: a table for each size, all of them saved."""
    benchmark = import_module(name)
    device = choose_device(asked.device)
    sizes = benchmark.QUICK_SIZES if asked.quick else benchmark.SIZES
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    tables = []
    for size in sizes:
        tables.append(benchmark.run(size, rounds, device, 0.0 if asked.quick else LEAST))
        print(f"{markdown(tables[-1])}\n", flush=True)
    stem = asked.out / "-".join([slug(device_name(device)), *["quick"] * asked.quick])
    for path in record.save(stem, device_name(device), name, circumstances(), tables):
        print(path, flush=True)


def circumstances() -> dict[str, Any]:
    """What the figures depend on, but for the device."""
    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "commit": commit()}


def slug(name: str) -> str:
    """A file name: AMD EPYC 9R14, 2 threads → amd-epyc-9r14-2-threads."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
