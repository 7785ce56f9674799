"""`cyclegan import`: make a release of a generator that another project has trained."""

import argparse

from cyclegan.errors import expanded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan import`."""
    parser.add_argument("file", type=expanded, help="horse2zebra.pth, or checkpoints/<name>/latest_net_G_A.pth")
    parser.add_argument("--x", help="name of the source: horse; by default from the file name")
    parser.add_argument("--y", help="name of the target: zebra")
    parser.add_argument("--key", help="of a file with several generators, the name of one: netG_A")
    parser.add_argument("--out", type=expanded, required=True, help="runs/horse2zebra.safetensors, or a new folder")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from cyclegan.export.import_junyanz import convert

    print(convert(given.file, given.out, given.x, given.y, given.key))
    return 0
