"""`cyclegan import`: make a release of a generator that another project has trained."""

import argparse

from cyclegan.errors import expanded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan import`."""
    parser.add_argument("file", type=expanded, help="horse2zebra.pth, latest_net_G_A.pth, or candy.pth of a style")
    parser.add_argument("--x", help="name of the source: horse; by default from the file name")
    parser.add_argument("--y", help="name of the target: zebra, or of the style; by default from the file name")
    parser.add_argument("--key", help="of a file with several generators, the name of one: netG_A")
    parser.add_argument("--out", type=expanded, required=True, help="runs/horse2zebra.safetensors, or a new folder")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from cyclegan.export import import_junyanz, import_transformer_net

    if given.file.is_file() and import_transformer_net.recognizes(given.file):
        print(import_transformer_net.convert_style(given.file, given.out, given.x, given.y))
    else:
        print(import_junyanz.convert(given.file, given.out, given.x, given.y, given.key))
    return 0
