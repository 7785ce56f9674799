"""A generator as one graph that needs none of our code, pixels in, pixels out; and ONNX Runtime, which runs it.

Graph      image (n, 3, height, width) → translated (n, 3, height, width); RGB in 0 … 255 on both sides, uint8 (the
           result is rounded) or float32 (it is not). Scaling to [-1, 1], padding to the stride of the network and
           cutting back are inside.
Describes  itself: the metadata `about` of the file is the description of the release it comes from, in JSON, with
           `to`, the side it translates to, and `pixels`, the type of both sides.
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
    """(n, 3, h, w) in [-1, 1] → the same in 0 … 255, as the nearest whole numbers if the type has no others."""
    levels = (images + 1) * 127.5
    return levels if kind.is_floating_point else levels.round().clamp(0, 255).to(kind)


def from_pixels(pixels: Pixels) -> Images:
    """(n, 3, h, w) in 0 … 255 → the same in [-1, 1]."""
    return pixels.float() / 127.5 - 1


class Graph(nn.Module):
    """What NetworkTranslator does, written so that torch.export leaves batch, height and width open."""

    def __init__(self, translator: NetworkTranslator, kind: torch.dtype) -> None:
        super().__init__()
        self.network = translator.network
        self.padded = translator.padded
        self.kind = kind

    def forward(self, image: Pixels) -> Pixels:
        """(n, 3, h, w) in 0 … 255 → the same. Padding and cutting gather rows and columns, which asks for no guard."""
        height, width = image.shape[-2:]
        rows = torch.arange(self.padded(height)).clamp(max=height - 1)
        columns = torch.arange(self.padded(width)).clamp(max=width - 1)
        drawn = self.network(from_pixels(image.index_select(2, rows).index_select(3, columns)))
        return to_pixels(drawn.index_select(2, torch.arange(height)).index_select(3, torch.arange(width)), self.kind)


@dataclass(frozen=True)
class GraphTranslator:
    """A graph as a Translator, on the CPU."""

    run: Callable[[Pixels], Pixels]
    kind: torch.dtype

    def translate(self, images: Images) -> Images:
        """(n, 3, h, w) → (n, 3, h, w); a graph of uint8 sees and puts out whole levels."""
        return from_pixels(self.run(to_pixels(images.detach().float().cpu(), self.kind))).to(images)


def read_graph(path: Path) -> tuple[Mapping[str, Any], GraphTranslator]:
    """The description of an ONNX file, and what it translates with."""
    session = open_session(path)
    about = _described(session.get_modelmeta().custom_metadata_map.get("about", ""))
    names = [each.name for each in (*session.get_inputs(), *session.get_outputs())]
    if about is None or names != [INPUT, OUTPUT]:
        raise UserError(f"{path}: does not describe itself; give a file that `cyclegan export` has written")
    return about, GraphTranslator(runner(session), KINDS[about["pixels"]])


def open_session(path: Path) -> Any:
    """ONNX Runtime's session of a file, on the CPU."""
    onnxruntime = required("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong comes as an exception
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # many classes of its own, with no other parent
        raise UserError(
            f"{path}: not a readable ONNX file ({str(error).splitlines()[0][:120]}); export it anew"
        ) from error


def runner(session: Any) -> Callable[[Pixels], Pixels]:
    """A session as a function of tensors."""

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
    """The last of these packages, imported; all must be installed."""
    with fitting_packages():
        return [import_module(package) for package in packages][-1]


@contextmanager
def fitting_packages() -> Iterator[None]:
    """Raise UserError that names a package which is missing, or of a version that lacks what is imported from it."""
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
    """The description, if it has all that a reader goes by."""
    try:
        about = read_description(json.loads(text), "graph")
        fits = about["to"] in about["targets"] and about["pixels"] in KINDS
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UserError):
        return None
    return cast(Mapping[str, Any], about) if fits else None
