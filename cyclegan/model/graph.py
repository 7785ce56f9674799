"""Generator as a self-contained graph from pixels to pixels, and ONNX Runtime, which runs it.

Graph      image (n, 3, height, width) → translated (n, 3, height, width); RGB in 0 … 255 on both sides, uint8
           (the result is rounded) or float32 (it is not). Scaling to [-1, 1], padding to the stride of the
           network and cropping back are part of the graph.
Describes  itself: the metadata `about` of the file holds the description of the release it comes from, in
           JSON, with `to`, the target it translates to, and `pixels`, the type on both sides.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.protocols import Images
from cyclegan.release import read_description

KINDS = {"uint8": torch.uint8, "float32": torch.float32}
PACKAGES = "onnx onnxscript onnxruntime"
INPUT, OUTPUT = "image", "translated"

Pixels = Shaped[Tensor, "n 3 h w"]  # RGB in 0 … 255


def to_pixels(images: Images, kind: torch.dtype) -> Pixels:
    """Scale (n, 3, h, w) images from [-1, 1] to 0 … 255; round to whole numbers for an integer type."""
    levels = (images + 1) * 127.5
    return levels if kind.is_floating_point else levels.round().clamp(0, 255).to(kind)


def from_pixels(pixels: Pixels) -> Images:
    """Scale (n, 3, h, w) pixels from 0 … 255 to [-1, 1]."""
    return pixels.float() / 127.5 - 1


class Graph(nn.Module):
    """Module that computes what NetworkTranslator does, written so that torch.export leaves all sizes open.

    The open sizes are batch, height and width.
    """

    def __init__(self, translator: NetworkTranslator, kind: torch.dtype) -> None:
        super().__init__()
        self.network = translator.network
        self.padded = translator.padded
        self.kind = kind

    def forward(self, image: Pixels) -> Pixels:
        """Translate (n, 3, h, w) pixels in 0 … 255.

        Padding and cropping gather rows and columns, because this needs no guard on the size.
        """
        height, width = image.shape[-2:]
        rows = torch.arange(self.padded(height)).clamp(max=height - 1)
        columns = torch.arange(self.padded(width)).clamp(max=width - 1)
        drawn = self.network(from_pixels(image.index_select(2, rows).index_select(3, columns)))
        return to_pixels(drawn.index_select(2, torch.arange(height)).index_select(3, torch.arange(width)), self.kind)


@dataclass(frozen=True)
class GraphTranslator:
    """Translator that runs a graph on the CPU."""

    run: Callable[[Pixels], Pixels]
    kind: torch.dtype

    def translate(self, images: Images) -> Images:
        """Translate (n, 3, h, w) images; a graph of type uint8 takes and returns whole levels."""
        return from_pixels(self.run(to_pixels(images.detach().float().cpu(), self.kind))).to(images)


def read_graph(path: Path) -> tuple[Mapping[str, Any], GraphTranslator]:
    """Return the description of an ONNX file, and a translator that runs it."""
    session = open_session(path)
    about = _described(session.get_modelmeta().custom_metadata_map.get("about", ""))
    names = [each.name for each in (*session.get_inputs(), *session.get_outputs())]
    if about is None or names != [INPUT, OUTPUT]:
        raise UserError(f"{path}: does not describe itself; give a file that `cyclegan export` has written")
    return about, GraphTranslator(runner(session), KINDS[about["pixels"]])


def open_session(path: Path) -> Any:
    """Open an ONNX file with ONNX Runtime, on the CPU."""
    onnxruntime = required("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # many classes of its own, with no other parent
        raise UserError(
            f"{path}: not a readable ONNX file ({str(error).splitlines()[0][:120]}); export it anew"
        ) from error


def runner(session: Any) -> Callable[[Pixels], Pixels]:
    """Wrap a session as a function of tensors."""

    def run(pixels: Pixels) -> Pixels:
        try:
            (translated,) = session.run([OUTPUT], {INPUT: pixels.numpy()})
        except Exception as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise
        return torch.from_numpy(translated)

    return run


def required(*packages: str) -> Any:
    """Import these packages and return the last one; all must be installed."""
    with fitting_packages():
        return [import_module(package) for package in packages][-1]


@contextmanager
def fitting_packages() -> Iterator[None]:
    """Raise UserError if a package is missing, or its version lacks what is imported from it.

    The message names the package.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package == error.name and isinstance(error, ModuleNotFoundError):
            raise UserError(f"{package} is not installed; pip install {PACKAGES}") from error
        raise UserError(
            f"{package or 'onnx'} does not fit the installed torch ({str(error).splitlines()[0][:120]}); "
            f"pip install --upgrade {PACKAGES}"
        ) from error


def _described(text: str) -> Mapping[str, Any] | None:
    """Parse the description; return None if it lacks what a reader needs."""
    try:
        about = read_description(json.loads(text), "graph")
        fits = about["to"] in about["targets"] and about["pixels"] in KINDS
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UserError):
        return None
    return cast(Mapping[str, Any], about) if fits else None
