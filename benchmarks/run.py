"""How fast the library is here, against plain code that computes the same: a table as Markdown and as JSON.

    python benchmarks/run.py                   all benchmarks, into benchmarks/results/<device>.md and .json
    python benchmarks/run.py adain --rounds 5  one of them, fewer rounds; the device's files get the name of it, too
    python benchmarks/run.py --quick           tiny images, to see that it works; the figures mean nothing

Only ratios within one table are to be compared. CYCLEGAN_WEIGHTS, if set, gives the released weights.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import adain
import cost
import folder
import gatys
import pipeline
import step
import tiles
import torch
import translation
from paired import LEAST, Table, markdown

from cyclegan.evaluation.timing import describe
from cyclegan.precision import choose_device
from cyclegan.provenance import commit

BENCHMARKS = {
    "step": step,
    "cost": cost,
    "translation": translation,
    "tiles": tiles,
    "folder": folder,
    "pipeline": pipeline,
    "adain": adain,
    "gatys": gatys,
}
RESULTS = Path(__file__).parent / "results"
ROUNDS = 9
QUICK_ROUNDS = 3
LEGEND = (
    "Seconds: the median. Ratio: seconds of the first variant over those of this one, the median over rounds in which "
    "all variants take turns, and its quartiles. Quiet: rounds in which other processes used at most 5 % of the cores; "
    "busy: there were fewer than three of these, so that all count. Agreement: with the result of the first."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that are asked for."""
    asked = parse(arguments)
    device = choose_device(asked.device)
    tables = []
    for name in asked.names or BENCHMARKS:
        for table in tables_of(name, asked, device):
            print(f"{markdown(table)}\n", flush=True)
            tables.append(table)
    stem = "-".join([slug(describe(device)), *asked.names, *["quick"] * asked.quick])
    for path in save(asked.out / stem, circumstances(device), tables):
        print(path)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="tiny images, few rounds")
    parser.add_argument("--rounds", type=int, help=f"instead of {ROUNDS}")
    parser.add_argument("--device", default="auto", help="cpu, cuda, …")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the files")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in BENCHMARKS]:
        parser.error(f"'{unknown[0]}' is no benchmark; choose from {', '.join(BENCHMARKS)}")
    if asked.rounds is not None and asked.rounds < 1:
        parser.error("--rounds: must be at least 1")
    return asked


def tables_of(name: str, asked: argparse.Namespace, device: torch.device) -> list[Table]:
    """One for each size."""
    benchmark = BENCHMARKS[name]
    sizes = benchmark.QUICK_SIZES if asked.quick else benchmark.SIZES
    rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    return [benchmark.run(size, rounds, device, 0.0 if asked.quick else LEAST) for size in sizes]


def circumstances(device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "commit": commit(),
    }


def slug(name: str) -> str:
    """A file name: AMD EPYC 9R14, 2 threads → amd-epyc-9r14-2-threads."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def save(stem: Path, about: dict[str, Any], tables: Sequence[Table]) -> list[Path]:
    """The files, written."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    page = stem.with_name(f"{stem.name}.md")
    data = stem.with_name(f"{stem.name}.json")
    facts = f"PyTorch {about['torch']}, {about['threads']} threads, commit {about['commit']}."
    parts = [f"# Speed on {about['device']}", facts, LEGEND, *map(markdown, tables)]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    content = about | {"tables": [table.as_data() for table in tables]}
    data.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [page, data]


if __name__ == "__main__":
    main()
