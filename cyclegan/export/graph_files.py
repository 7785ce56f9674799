"""Export of trained generators as ONNX or .pt2 graphs, or as releases to load again or upload.

.onnx         for ONNX Runtime and other programs that read ONNX, with all weights inside
.pt2          for PyTorch without this library: torch.export.load(path).module(); extra file about.json
.safetensors  the weights and their description in one file
a folder      the same as model.safetensors, with config.json and a model card: ready for `hf upload`

Graphs (cyclegan.model.graph) are compared with the network before they are moved into place: on noise of
three sizes, and on images of a single color, including black and a single pixel.
"""

import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from cyclegan.errors import UserError
from cyclegan.export.model_card import evaluation_beside, save_release
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.graph import (
    INPUT,
    KINDS,
    OUTPUT,
    Graph,
    Pixels,
    fitting_packages,
    from_pixels,
    open_session,
    required,
    runner,
    to_pixels,
)
from cyclegan.model.load import load
from cyclegan.model.model import Model
from cyclegan.translate.image_files import writing

TOLERANCE = 1e-4  # on a range of 2: tolerated difference of two programs in float32
IR_VERSION = 9  # of the ONNX format: enough for opset 20; older runtimes refuse higher versions
CHECKED = ((1, 3, 64, 64), (2, 3, 50, 75), (1, 3, 97, 33))  # images of noise
FLAT = {0: (1, 3, 50, 75), 90: (2, 3, 64, 64), 255: (1, 3, 1, 1)}  # images of one level
OPEN = {INPUT: {0: Dim("n"), 2: Dim("height"), 3: Dim("width")}}  # the axes of any size


def export(checkpoint: Path, out: Path, to: str | None = None, pixels: str | None = None) -> str:
    """Write the contents of a run, a checkpoint or a release; return a line that says what was written.

    to      The target to translate to; by default Y. A release holds every direction, unless one is named.
    pixels  The type on both sides of a graph: uint8, which is the default, or float32.
    """
    if out.suffix not in (*GRAPHS, ".safetensors", ""):
        raise UserError(f"{out}: no format ends in {out.suffix}; give .onnx, .pt2, .safetensors or a folder")
    loaded = _trained(checkpoint)
    if out.suffix in GRAPHS:
        return _save_graph(loaded, out, to or loaded.to, pixels or "uint8")
    if pixels is not None:
        raise UserError(f"--pixels: {out} will be a release, whose tensors are floats; leave it out")
    networks = loaded.networks if to is None else _network_of(loaded, to)
    targets = {name: loaded.about["targets"][name] for name in ([to] if to else loaded.targets)}
    about = {**loaded.about, "targets": targets, "networks": list(networks)}
    with atomic_output(out) as partial:
        save_release(partial, networks, about, evaluation_beside(checkpoint, loaded.step))
    return f"{out}: {_arrow(loaded, to)}, {_megabytes(out)}"


def _trained(checkpoint: Path) -> Model:
    """Load the model to be exported; refuse one without a trained network."""
    if checkpoint.suffix in (".onnx", ".yaml", ".yml"):
        raise UserError(f"{checkpoint}: holds no network to export; give a run, a checkpoint or a release")
    loaded = load(checkpoint, "cpu")
    if not loaded.translators:
        raise UserError(f"{checkpoint}: needs a style image, which a graph cannot hold; export a trained generator")
    return loaded


def _network_of(loaded: Model, to: str) -> Mapping[str, torch.nn.Module]:
    """Return the network that translates to a target, under its name; it may have more targets."""
    needed = set(_direct(loaded, to).network.modules())
    return {name: network for name, network in loaded.networks.items() if network in needed}


def _direct(loaded: Model, to: str) -> NetworkTranslator:
    translator = loaded.translator(to)
    assert isinstance(translator, NetworkTranslator)  # all that is loaded without an example
    return translator


def _save_graph(loaded: Model, out: Path, to: str, pixels: str) -> str:
    """Trace the graph, write it, read it back and compare it; only then move the file into place."""
    translator, kind = _direct(loaded, to), KINDS[pixels]
    loaded.require_rgb(f"{out}", to)
    if out.suffix == ".onnx":
        required("onnx", "onnxscript", "onnxruntime")
    write, read = GRAPHS[out.suffix]
    with atomic_output(out) as partial:
        write(_traced(translator, kind), partial, json.dumps({**loaded.about, "to": to, "pixels": pixels}))
        off = difference(translator, read(partial), kind)
        if not off <= TOLERANCE:  # NaN is not either
            raise UserError(
                f"{out}: not written, as it differs from the network by {off:.2g}, more than {TOLERANCE:g}; "
                "please report this with your versions of torch and onnxruntime"
            )
    return (
        f"{out}: {_arrow(loaded, to)}, {_megabytes(out)}; differs from the network by {off:.1g} at most, rounding apart"
    )


def difference(translator: NetworkTranslator, run: Callable[[Pixels], Pixels], kind: torch.dtype) -> float:
    """Largest difference between a graph and the network, on a range of 2.

    Rounding to whole levels does not count.
    """
    rounding = 0.0 if kind.is_floating_point else 0.5
    worst = []
    for pixels in _checked(kind):
        exact = to_pixels(translator.translate(from_pixels(pixels)), torch.float64)
        worst.append((run(pixels).double() - exact).abs().max().sub(rounding).clamp(min=0) / 127.5)
    return float(torch.stack(worst).max())


def _checked(kind: torch.dtype) -> Iterator[Pixels]:
    """Yield the images on which a graph is compared with the network."""
    random = torch.Generator().manual_seed(0)
    yield from (torch.randint(0, 256, shape, generator=random).to(kind) for shape in CHECKED)
    yield from (torch.full(shape, level, dtype=kind) for level, shape in FLAT.items())


def _traced(translator: NetworkTranslator, kind: torch.dtype) -> ExportedProgram:
    """Trace the graph, and remove the names of this library's source files that tracing leaves in it.

    Sizes are left open, including a size of 1: a U-Net has 1×1 features in its middle at its smallest size.
    """
    graph = Graph(translator, kind).eval().requires_grad_(False)
    with _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        program = torch.export.export(graph, (torch.zeros(CHECKED[1], dtype=kind),), dynamic_shapes=OPEN)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(program: ExportedProgram, path: Path, about: str) -> None:
    names = {INPUT: {axis: dim.__name__ for axis, dim in OPEN[INPUT].items()}}
    with fitting_packages():
        onnx = torch.onnx.export(program, dynamo=True, dynamic_shapes=names, output_names=[OUTPUT], verbose=False)
    assert onnx is not None
    onnx.model.ir_version = IR_VERSION
    for node in onnx.model.graph:
        node.metadata_props.clear()
    onnx.model.metadata_props["about"] = about
    onnx.save(path)


def _write_pt2(program: ExportedProgram, path: Path, about: str) -> None:
    content = io.BytesIO()  # in memory, because PyTorch ends the process if a disk is full
    torch.export.save(program, content, extra_files={"about.json": about})
    path.write_bytes(content.getvalue())


GRAPHS: Mapping[str, tuple[Callable[[ExportedProgram, Path, str], None], Callable[[Path], Any]]] = {
    ".onnx": (_write_onnx, lambda path: runner(open_session(path))),
    ".pt2": (_write_pt2, lambda path: torch.export.load(path).module()),  # written by this program a moment ago
}


@contextmanager
def atomic_output(out: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move the file there to `out`.

    If an error occurs, `out` is not written.
    """
    if out.exists() and out.suffix not in GRAPHS:
        raise UserError(
            f"{out}: is there already, and weights are not written over; give another --out or move it away"
        )
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as room:
            Path(room).chmod(out.parent.stat().st_mode)
            yield Path(room) / out.name
            (Path(room) / out.name).replace(out)


def _arrow(loaded: Model, to: str | None) -> str:
    """Return the directions as text: photo → painting, or photo ↔ painting where both are targets."""
    targets = loaded.targets if to is None else [to]
    if len(targets) == 2 and [loaded.source(target) for target in targets] == targets[::-1]:
        return " ↔ ".join(targets[::-1])
    return ", ".join(f"{loaded.source(target)} → {target}" for target in targets)


def _megabytes(out: Path) -> str:
    files = [out] if out.is_file() else list(out.iterdir())
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
