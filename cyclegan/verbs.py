"""What is done with a trained run, with pictures and with data sets: one function a verb, which returns the exit code.

PyTorch is imported inside those that compute, so that `data` starts at once.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclegan.config import load
from cyclegan.data.cards import find_domain, list_domains, locate
from cyclegan.data.splits import find_splits, formats_of
from cyclegan.errors import UserError, expanded
from cyclegan.experiment import Experiment
from cyclegan.inference.options import Options
from cyclegan.pixels.find import skipped_below


def translate(
    checkpoint: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    to: str | None,
    frames: bool,
    loading: Mapping[str, Any],
    how: Options,
) -> int:
    """Translate files, folders and films; bad ones are named at the end. `loading` are options of load."""
    from cyclegan.inference.film import translate_all
    from cyclegan.inference.load import load as load_trained

    loaded = load_trained(checkpoint, **loading)
    for damage in loaded.damages:
        print(f"passed over: {damage}", file=sys.stderr)
    for note in loaded.notes:
        print(f"note: {note}", file=sys.stderr)
    report = translate_all(loaded, pictures, out, to, how, frames=frames)
    say_skipped(pictures, arrays=not loaded.kinds_to(to).source.is_rgb)
    count, kind = len(report.done) + len(report.bad), "files" if report.notes else "pictures"
    print("".join(f"{note}\n" for note in report.notes), end="")
    print(f"{len(report.done)} of {count} {kind} translated to {to or loaded.to} in {out}")
    for bad in report.bad:
        print(f"error: {bad}", file=sys.stderr)
    return UserError.exit_code if report.bad else 0


def say_skipped(places: Iterable[Path], arrays: bool = False) -> None:
    """Print one line on the files below folders that are not read, if there are any."""
    if line := skipped_below(places, arrays):
        print(line, file=sys.stderr)


def export(checkpoint: Path, out: Path, *, to: str | None, pixels: str | None) -> int:
    """Write a trained generator for other programs, or a release of it."""
    from cyclegan.inference.export import export

    print(export(checkpoint, out, to, pixels))
    return 0


def convert(file: Path, out: Path, *, x: str | None, y: str | None, key: str | None = None) -> int:
    """Make a release of a generator that another project has trained."""
    from cyclegan.inference.official import convert

    print(convert(file, out, x, y, key))
    return 0


def serve(
    checkpoints: Sequence[Path],
    *,
    examples: Path | None,
    styles: Path | None,
    host: str,
    port: int,
    allow_host: Sequence[str],
    size: int | None,
) -> int:
    """Answer with a page and an endpoint until Ctrl-C."""
    try:
        from cyclegan.inference import server
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name}: is not installed; pip install fastapi uvicorn python-multipart") from error
    from cyclegan.inference.guard import Hosts, allowed_host
    from cyclegan.inference.load import load as load_trained
    from cyclegan.inference.studio import SIZE, Studio, named, read_examples, read_styles

    hosts, size = Hosts(host, tuple(map(allowed_host, allow_host))), size or SIZE
    with server.listen(host, port) as listening:
        models = {name: load_trained(path) for name, path in named(checkpoints).items()}
        for damage in (damage for loaded in models.values() for damage in loaded.damages):
            print(f"passed over: {damage}", file=sys.stderr)
        wants_styles = any(loaded.stylizer is not None for loaded in models.values())
        studio = Studio(
            models=models,
            examples=read_examples(examples, size),
            styles=read_styles(styles, size) if wants_styles else {},
            size=size,
        )
        say_skipped(filter(None, [examples, styles]))
        if not hosts.is_loopback:
            reached = ", ".join((host, *hosts.allowed))
            print(f"warning: anyone who can reach {reached} can use this; there is no password", file=sys.stderr)
        if "*" in hosts.allowed:
            print("warning: with --allow-host '*' any web site can send images to it; name the host", file=sys.stderr)
        shown = f"[{host}]" if ":" in host else host
        print(f"{', '.join(models)}: at http://{shown}:{listening.getsockname()[1]}/ until Ctrl-C", flush=True)
        server.Server(studio, hosts).run(sockets=[listening])
    return 0


def list_data() -> int:
    """Every domain, its pictures and where they are."""
    print(list_domains())
    return 0


def fetch_data(name: str) -> int:
    """Download, or make, the data set of a domain."""
    from cyclegan.data.fetch import obtain

    print(f"{name}: in {obtain(find_domain(name))}")
    return 0


def check_data(targets: Sequence[str]) -> int:
    """Count and open every picture of a domain, a folder, the two folders of a training, or those of an experiment."""
    from cyclegan.data.check import check

    if len(targets) == 1 and Path(targets[0]).suffix in (".yaml", ".yml"):
        config = replace(load(expanded(targets[0]), Experiment).data, on_bad_picture="error")
        folders = (config.x, config.y) if config.domain is None else (locate(find_domain(config.domain)),)
        report = check(*folders, kinds=list(formats_of(config, find_splits(config)).values()))
    else:
        report = check(*map(_folder_or_domain, targets))
    print(report)
    return UserError.exit_code if report.bad else 0


def _folder_or_domain(name: str) -> Path:
    """The folder of that name, else that of the domain; what looks like a path is never taken for a domain."""
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
