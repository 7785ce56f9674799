"""Command line `cyclegan COMMAND`; PyTorch is imported only by commands that compute.

Every mistake of the user, and every operation that the system refuses, ends here as a line on stderr and an
exit code (see cyclegan.errors). With CYCLEGAN_DEBUG=1 in the environment it ends with its traceback.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from cyclegan import __version__
from cyclegan.commands import compare, data, evaluate, export, import_weights, serve, show, train, translate
from cyclegan.errors import StoppedError, UserError, from_os_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
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
        if error.errno is None:  # raised by a library, and not by the system: a bug of ours
            raise
        return _fail(from_os_error(error))


def _print_anything() -> None:
    """Replace characters that the terminal, file or pipe cannot show.

    Examples are arrows in cp1252 and names that are not UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # the stream of a notebook has none
            stream.reconfigure(errors="replace")


def _fail(error: UserError) -> int:
    """Print the error in one line and return its exit code."""
    if os.environ.get("CYCLEGAN_DEBUG", "0") != "0":
        raise error
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


COMMANDS = {
    "train": (train, "train the experiment of a YAML file, or continue it; then score it"),
    "translate": (translate, "translate images and videos with a run or a released file"),
    "evaluate": (evaluate, "score runs, a model, or translations by any program"),
    "compare": (compare, "run the same images through many translators: one image grid, one table"),
    "export": (export, "write a trained generator as .onnx or .pt2, or as a release for the hub"),
    "import": (import_weights, "make a release of a generator of pytorch-CycleGAN-and-pix2pix, CUT or PyTorch-GAN"),
    "data": (data, "list, fetch and check data sets"),
    "serve": (serve, "serve a web page and an HTTP endpoint that translate one image at a time"),
    "show": (show, "print the resolved settings of an experiment or of a run"),
}


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = argparse.ArgumentParser(prog="cyclegan", description="Image-to-image translation and style transfer.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="command")
    for name, (command, purpose) in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=purpose))
    return top
