"""`cyclegan translate`: translate images, folders and videos with a run or a released file."""

import argparse
import sys
from dataclasses import fields

from cyclegan.commands.arguments import add_overrides, positive, print_skipped
from cyclegan.errors import UserError, expanded
from cyclegan.translate.options import Options

LOADING = ("style", "masks", "precision", "compile")  # options of loading a model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan translate`."""
    add, o = parser.add_argument, Options
    add("checkpoint", type=expanded, help="runs/photo2painting/cyclegan, or experiments/gatys/best.yaml")
    add("images", type=expanded, nargs="+", help="images, videos, or folders of images")
    add("--frames", action="store_true", help="folders are videos; their images are the frames")
    add("--to", nargs="+", metavar="NAME", help="target, by name: painting; several are mixed, if the model can")
    add("--style", type=expanded, nargs="+", default=[], help="style images, for Gatys and AdaIN")
    add("--weights", type=float, nargs="+", help="relative weights of several styles or targets")
    add("--masks", type=expanded, nargs="+", default=[], help="a mask for each style or target, white where it goes")
    add("--out", type=expanded, required=True, help="output folder; names and sub-folders are kept")
    add("--strength", type=float, default=o.strength, metavar="0…1", help="strength of the translation")
    add("--bits", type=int, choices=(8, 16), help="bits per channel, instead of the source's; 16: as TIFF")
    add("--precision", choices=("float32", "bfloat16", "auto"), default="float32")
    add("--compile", action="store_true", help="compile the network first: pays for many images; not for tiles")
    add("--tile", type=positive, metavar="PIXELS", help="work in square tiles: less memory, more time")
    add("--batch", type=positive, default=o.batch, metavar="N", help="images of one size at a time; for GPUs")
    add("--save-every", type=positive, dest="every", metavar="STEPS", help="Gatys: keep intermediate images")
    add("--every", type=positive, dest="every", help=argparse.SUPPRESS)  # earlier name
    add_overrides(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Translate, then name the files that failed; return exit code 2 if any did."""
    from cyclegan.model.load import load
    from cyclegan.translate.video import translate_all

    to, mixture = _targets(given)
    loading = {name: getattr(given, name) for name in LOADING} | {"weights": given.weights, "overrides": given.set}
    if mixture:
        loading |= {"weights": None, "masks": ()}
    model = load(given.checkpoint, **loading)
    for damage in model.damages:
        print(f"skipped: {damage}", file=sys.stderr)
    for note in model.notes:
        print(f"note: {note}", file=sys.stderr)
    if mixture:
        from cyclegan.model.masks import read_masks

        model = model.mixed(mixture, read_masks(given.masks) if given.masks else None)
    how = Options(**{field.name: getattr(given, field.name) for field in fields(Options)})
    report = translate_all(model, given.images, given.out, to, how, frames=given.frames)
    print_skipped(given.images, arrays=not model.formats_to(to).source.is_rgb)
    count, kind = len(report.done) + len(report.bad), "files" if report.notes else "pictures"
    print("".join(f"{note}\n" for note in report.notes), end="")
    print(f"{len(report.done)} of {count} {kind} translated to {to or model.to} in {given.out}")
    for bad in report.bad:
        print(f"error: {bad}", file=sys.stderr)
    return UserError.exit_code if report.bad else 0


def _targets(given: argparse.Namespace) -> tuple[str | None, dict[str, float]]:
    """Return the one target, or None for the default, and the weights of several targets."""
    if given.to is None or len(given.to) == 1:
        return (given.to[0] if given.to else None), {}
    for name, values in (("weights", given.weights), ("masks", given.masks)):
        if values and len(values) != len(given.to):
            raise UserError(f"--{name}: {len(values)} given for {len(given.to)} targets; give one for each")
    return None, dict(zip(given.to, given.weights or [1.0] * len(given.to), strict=True))
