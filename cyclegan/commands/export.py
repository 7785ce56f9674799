"""`cyclegan export`: write a trained generator for other programs, or a release of it."""

import argparse

from cyclegan.errors import expanded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan export`."""
    parser.add_argument("checkpoint", type=expanded, help="runs/photo2painting/cyclegan")
    parser.add_argument("--to", help="target, by name: painting")
    parser.add_argument("--out", type=expanded, required=True, help="painting.onnx, .pt2, .safetensors, or a folder")
    parser.add_argument("--pixels", choices=("uint8", "float32"), help="type of a graph's images; by default uint8")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Export and print what was written."""
    from cyclegan.export.graph_files import export

    print(export(given.checkpoint, given.out, given.to, given.pixels))
    return 0
