"""The `cyclegan` command: one sub-command for each verb, one call each; PyTorch is imported only by those that compute.

Every mistake of the user, and whatever the system refuses, ends here as a line on stderr and an exit code (see
cyclegan.errors). With CYCLEGAN_DEBUG=1 in the environment it ends with its traceback.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from cyclegan import __version__
from cyclegan.commands import compare, evaluate
from cyclegan.errors import StoppedError, UserError, expanded, refused
from cyclegan.inference.options import Options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    _print_anything()
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except UserError as error:
        return _fail(error)
    except StoppedError as stopped:
        print("stopped and saved; the same command continues", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `cyclegan show … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno is None:  # said by a library, and not by the system: a bug of ours
            raise
        return _fail(refused(error))


def _print_anything() -> None:
    """Replace characters that the terminal, file or pipe cannot show (arrows in cp1252, names that are not UTF-8)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # that of a notebook has none
            stream.reconfigure(errors="replace")


def _fail(error: UserError) -> int:
    """Say what is wrong, in one line; the exit code."""
    if os.environ.get("CYCLEGAN_DEBUG", "0") != "0":
        raise error
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def parser() -> argparse.ArgumentParser:
    """All verbs and what they are for; the few arguments of each follow below."""
    top = argparse.ArgumentParser(prog="cyclegan", description="Unpaired image-to-image translation.")
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(required=True, metavar="verb")
    for name, add_arguments, said in (
        ("train", _add_train, "train the experiment of a YAML file, or continue it; then score it"),
        ("translate", _add_translate, "translate pictures and films with a run or a released file"),
        ("evaluate", evaluate.add_arguments, "score runs, a model, or translations that any program made"),
        ("compare", _add_compare, "the same images through many translators: one image grid, one table"),
        ("export", _add_export, "write a trained generator as .onnx or .pt2, or as a release for the hub"),
        ("import", _add_import, "make a release of a generator of pytorch-CycleGAN-and-pix2pix, CUT or PyTorch-GAN"),
        ("data", _add_data, "list, fetch and check data sets"),
        ("serve", _add_serve, "a page in the browser, and an HTTP endpoint, for pictures one at a time"),
        ("show", _add_show, "print the resolved settings of an experiment or of a run"),
    ):
        add_arguments(verbs.add_parser(name, help=said))
    return top


def _add_train(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("experiment", type=expanded, nargs="?", help="experiments/cyclegan/photo2painting.yaml")
    verb.add_argument("--x", type=_folder, help="instead of a file: a folder of pictures to translate from …")
    verb.add_argument("--y", type=_folder, help="… and one to translate to; a recipe is chosen, shown and saved")
    _add_set(verb)
    verb.set_defaults(run=_train)


def _add_translate(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("checkpoint", type=expanded, help="runs/photo2painting/cyclegan, or experiments/gatys/best.yaml")
    verb.add_argument("pictures", type=expanded, nargs="+", help="pictures, films, or folders of pictures")
    verb.add_argument("--frames", action="store_true", help="folders are films; their pictures are the frames")
    verb.add_argument("--to", help="the side to translate to, by name: painting")
    verb.add_argument("--style", type=expanded, nargs="+", default=[], help="example pictures, for Gatys and AdaIN")
    verb.add_argument("--weights", type=float, nargs="+", help="how much of each of several styles")
    verb.add_argument("--masks", type=expanded, nargs="+", default=[], help="for each style, white where it goes")
    verb.add_argument("--out", type=expanded, required=True, help="folder for the results; names and tree are kept")
    verb.add_argument(
        "--strength", type=float, default=Options.strength, metavar="0…1", help="how much of the translation"
    )
    verb.add_argument("--bits", type=int, choices=(8, 16), help="a channel, instead of the source's; 16: as TIFF")
    verb.add_argument("--precision", choices=("float32", "bfloat16", "auto"), default="float32")
    verb.add_argument("--compile", action="store_true", help="the network first: pays for many pictures; not for tiles")
    verb.add_argument("--tile", type=_count, metavar="PIXELS", help="work in squares: less memory, more time")
    verb.add_argument(
        "--batch", type=_count, default=Options.batch, metavar="N", help="pictures of one size at a time; for GPUs"
    )
    verb.add_argument("--every", type=_count, metavar="STEPS", help="of Gatys, keep pictures on the way")
    _add_set(verb)
    verb.set_defaults(run=_translate)


def _add_compare(verb: argparse.ArgumentParser) -> None:
    compare.add_arguments(verb)
    _add_set(verb)


def _add_export(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("checkpoint", type=expanded, help="runs/photo2painting/cyclegan")
    verb.add_argument("--to", help="the side to translate to, by name: painting")
    verb.add_argument("--out", type=expanded, required=True, help="painting.onnx, .pt2, .safetensors, or a new folder")
    verb.add_argument("--pixels", choices=("uint8", "float32"), help="of a graph, by default uint8; both are 0 … 255")
    verb.set_defaults(
        run=lambda options: _verbs().export(options.checkpoint, options.out, to=options.to, pixels=options.pixels)
    )


def _add_import(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", type=expanded, help="horse2zebra.pth, or checkpoints/<name>/latest_net_G_A.pth")
    verb.add_argument("--x", help="what goes in, by name: horse; by default what the file name says")
    verb.add_argument("--y", help="what comes out: zebra")
    verb.add_argument("--key", help="of a file that holds several generators, the name of one: netG_A")
    verb.add_argument("--out", type=expanded, required=True, help="runs/horse2zebra.safetensors, or a new folder")
    verb.set_defaults(run=lambda given: _verbs().convert(given.file, given.out, x=given.x, y=given.y, key=given.key))


def _add_data(verb: argparse.ArgumentParser) -> None:
    actions = verb.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="every domain and whether it is here")
    listing.set_defaults(run=lambda options: _verbs().list_data())
    fetch = actions.add_parser("fetch", help="download or make the data set of a domain")
    fetch.add_argument("domain", help="photo2monet")
    fetch.set_defaults(run=lambda options: _verbs().fetch_data(options.domain))
    check = actions.add_parser("check", help="count and open every picture of a domain or a folder")
    check.add_argument(
        "targets", nargs="+", help="photo2monet, a folder, the two folders of a training, or an experiment file"
    )
    check.set_defaults(run=lambda options: _verbs().check_data(options.targets))


def _add_serve(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("checkpoints", type=expanded, nargs="+", help="as of translate; the first is the default")
    verb.add_argument(
        "--examples", type=expanded, metavar="FOLDER", help="pictures to try, instead of the embedded ones"
    )
    verb.add_argument(
        "--styles", type=expanded, metavar="FOLDER", help="style images to try, instead of the embedded ones"
    )
    verb.add_argument("--host", default="127.0.0.1", help="whom to listen to; by default to this machine only")
    verb.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name of a proxy or tunnel that leads here, as demo.example.org or *.example.org; repeatable",
    )
    verb.add_argument("--port", type=int, default=7860, help="0 takes any free one")
    verb.add_argument("--size", type=_count, metavar="PIXELS", help="the longer side that is worked on, 1024")
    verb.set_defaults(
        run=lambda options: _verbs().serve(
            options.checkpoints,
            examples=options.examples,
            styles=options.styles,
            host=options.host,
            port=options.port,
            allow_host=options.allow_host,
            size=options.size,
        )
    )


def _add_show(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("experiment", type=expanded, help="a YAML file or a run folder")
    _add_set(verb)
    verb.set_defaults(run=_show)


def _train(options: argparse.Namespace) -> int:
    """A file, or two folders."""
    folders = (options.x, options.y)
    if options.experiment is not None and folders == (None, None):
        from cyclegan.commands.train import train

        train(options.experiment, options.set)
        return 0
    if options.experiment is None and None not in folders:
        from cyclegan.own_data import train_folders

        return train_folders(*folders, options.set)
    raise UserError("train: give either the YAML file of an experiment, or two folders: --x photos --y paintings")


def _show(options: argparse.Namespace) -> int:
    from cyclegan.commands.show import show

    return show(options.experiment, options.set)


def _translate(options: argparse.Namespace) -> int:
    """What a model is loaded with, and what is done with it."""
    loading = {name: getattr(options, name) for name in ("style", "weights", "masks", "precision", "compile")}
    how = {field.name: getattr(options, field.name) for field in fields(Options)}
    return _verbs().translate(
        options.checkpoint,
        options.pictures,
        options.out,
        to=options.to,
        frames=options.frames,
        loading={**loading, "overrides": options.set},
        how=Options(**how),
    )


def _count(text: str) -> int:
    """A whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number; give 1 or more")
    return int(text)


def _folder(text: str) -> Path:
    """Not the empty name of a variable that nobody has set, which would be this folder."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a folder of pictures")
    return expanded(text)


def _verbs() -> ModuleType:
    """Imported only now, so that --help needs nothing heavy."""
    from cyclegan import verbs

    return verbs


def _add_set(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--set", action="append", default=[], metavar="a.b=c", help="change one setting; repeatable")
