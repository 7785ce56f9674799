"""Exported graphs give what the network gives, at any size and without our code, and are loaded like a run."""

import json
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from photos import noise
from PIL import Image

from cyclegan import load
from cyclegan.cli import main
from cyclegan.errors import ResourceError, UserError
from cyclegan.export.graph_files import TOLERANCE, export
from cyclegan.images.tensors import to_bytes
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.build import build_generator
from cyclegan.networks.network_config import GeneratorConfig, UnetConfig
from cyclegan.translate.image_files import translate

exporting = sys.modules[export.__module__]  # the function hides its module


def of_network(translator: NetworkTranslator, pixels: np.ndarray) -> np.ndarray:
    """(n, 3, h, w) in 0 … 255, not rounded."""
    images = torch.from_numpy(pixels).float() / 127.5 - 1
    return (translator.translate(images).double().numpy() + 1) * 127.5


@pytest.fixture(scope="module")
def exported() -> dict[str, bytes]:
    return {}


@pytest.fixture
def graph(run, tmp_path, exported) -> Path:
    """The same bytes for every test, as writing them takes seconds."""
    path = tmp_path / "painting.onnx"
    if not exported:
        export(run.folder, path)
        exported["painting"] = path.read_bytes()
    path.write_bytes(exported["painting"])
    return path


def test_onnx_runtime_alone_paints_what_the_network_paints_at_any_size(graph, method):
    session = onnxruntime.InferenceSession(graph)
    onnx.checker.check_model(graph, full_check=True)
    assert (session.get_inputs()[0].name, session.get_inputs()[0].type) == ("image", "tensor(uint8)")
    assert session.get_inputs()[0].shape == session.get_outputs()[0].shape == ["n", 3, "height", "width"]
    for shape in [(1, 3, 1, 7), (1, 3, 31, 18), (3, 3, 40, 64), (1, 3, 129, 2)]:
        pixels = noise(*shape)
        (painted,) = session.run(None, {"image": pixels})
        assert painted.dtype == np.uint8
        assert painted.shape == shape
        assert np.abs(painted - of_network(method.x_to_y, pixels)).max() <= 0.5 + 127.5 * TOLERANCE


def test_float_pixels_are_not_rounded(run, method, tmp_path):
    export(run.folder, tmp_path / "photo.onnx", to="photo", pixels="float32")
    pixels = noise(1, 3, 21, 34)
    (painted,) = onnxruntime.InferenceSession(tmp_path / "photo.onnx").run(None, {"image": pixels.astype(np.float32)})
    assert painted.dtype == np.float32
    assert np.abs(painted - of_network(method.y_to_x, pixels)).max() <= 127.5 * TOLERANCE
    assert np.abs(painted - painted.round()).max() > 0.1


def test_a_graph_is_of_the_oldest_format_that_its_operators_allow(graph):
    model = onnx.load(graph)
    assert [each.version for each in model.opset_import if each.domain == ""] == [20]
    assert model.ir_version == 9


def test_a_graph_describes_itself_and_names_no_file_of_ours(graph):
    about = json.loads(onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map["about"])
    assert about["targets"]["painting"]["from"] == "photo"
    assert {key: about[key] for key in ("to", "pixels", "step")} == {
        "to": "painting",
        "pixels": "uint8",
        "step": 20,
    }
    assert about["method"].startswith("name: cyclegan")
    assert b".py" not in graph.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"downsamplings": 1, "norm": "none", "stem": "shuffle", "residual_output": True},
        {"downsamplings": 3, "upsampling": "resize"},
        {"base_channels": 64, "blocks": 9},
        {"norm": "batch", "downsampling": "blur", "upsampling": "shuffle"},
        {"name": "unet", "downsamplings": 4, "norm": "batch"},
        {"name": "unet", "downsamplings": 3, "upsampling": "blur"},
    ],
    ids=["shuffle", "resize", "paper", "batch", "unet", "blurred unet"],
)
def test_every_kind_of_generator_becomes_a_graph(settings, tmp_path):
    torch.manual_seed(0)
    kind = UnetConfig if settings.get("name") == "unet" else partial(GeneratorConfig, blocks=2)
    network = build_generator(kind(**{"base_channels": 4, **settings}))
    translator = NetworkTranslator(network, network.stride, network.smallest)
    for suffix, (write, read) in exporting.GRAPHS.items():
        write(exporting._traced(translator, torch.float32), tmp_path / f"graph{suffix}", "{}")
        run = read(tmp_path / f"graph{suffix}")
        assert exporting.difference(translator, run, torch.float32) <= TOLERANCE


def test_pytorch_runs_a_pt2_without_this_library(run, method, tmp_path):
    export(run.folder, tmp_path / "painting.pt2")
    extra = {"about.json": ""}
    graph = torch.export.load(tmp_path / "painting.pt2", extra_files=extra).module()
    pixels = noise(2, 3, 45, 22)
    painted = graph(torch.from_numpy(pixels)).numpy()
    assert np.abs(painted - of_network(method.x_to_y, pixels)).max() <= 0.5 + 127.5 * TOLERANCE
    assert json.loads(extra["about.json"])["to"] == "painting"


def test_a_graph_that_differs_is_not_left_behind(run, tmp_path, monkeypatch, only_line):
    to_graph = exporting.to_pixels
    monkeypatch.setattr("cyclegan.model.graph.to_pixels", lambda images, kind: to_graph(images + 0.01, kind))
    assert main(["export", str(run.folder), "--out", str(tmp_path / "new" / "a.onnx")]) == 2
    assert "a.onnx: not written, as it differs from the network by 0.01, more than 0.0001;" in only_line()
    assert not list((tmp_path / "new").iterdir())


def test_a_result_that_is_no_number_is_a_difference(method):
    spoil = lambda pixels: torch.full(pixels.shape, torch.nan)  # noqa: E731
    assert not exporting.difference(method.x_to_y, spoil, torch.float32) <= TOLERANCE


def test_a_graph_is_loaded_like_a_run(graph, run, tmp_path):
    painter, network = load(graph), load(run.folder, device="cpu")
    picture = Image.fromarray(noise(30, 45, 3))
    assert (painter.source(), painter.to, painter.step) == ("photo", "painting", 20)
    assert painter.signature == network.signature
    off = np.abs(np.asarray(painter(picture), int) - np.asarray(network(picture)))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
    images = torch.rand(2, 3, 20, 30, dtype=torch.float64) * 2 - 1
    assert (painter(images).shape, painter(images).dtype) == (images.shape, images.dtype)
    with pytest.raises(UserError, match="'photo': this model translates to 'painting'"):
        painter("photo.jpg", to="photo")


def test_onnx_runtime_serves_a_folder_and_the_only_side_needs_no_name(run, tmp_path, capsys):
    graph, photos, out = tmp_path / "photo.onnx", tmp_path / "photos", tmp_path / "out"
    (photos / "deep").mkdir(parents=True)
    Image.fromarray(noise(23, 31, 3)).save(photos / "deep" / "odd.png")
    (photos / "broken.png").write_bytes(b"no picture")
    assert main(["export", str(run.folder), "--to", "photo", "--out", str(graph)]) == 0
    assert re.search(r"photo\.onnx: painting → photo, 0\.\d MB; differs .* by \S+ at most", capsys.readouterr().out)
    assert main(["translate", str(graph), str(photos), "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert "1 of 2 pictures translated to photo" in captured.out
    assert "broken.png" in captured.err
    with Image.open(out / "deep" / "odd.png") as picture:
        assert picture.size == (31, 23)


def test_a_graph_without_memory_enough_says_so(graph, tmp_path):
    painter = load(graph)
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")

    def run(pixels: torch.Tensor) -> torch.Tensor:
        raise MemoryError("Failed to allocate memory for requested buffer of size 1")

    object.__setattr__(painter.translators["painting"], "run", run)
    with pytest.raises(ResourceError, match=r"a\.png: 8×8 pixels need more memory"):
        translate(painter, [tmp_path / "a.png"], tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--precision", "auto"], "--precision: "),
        (["--set", "lambda_cycle=3"], "--set: "),
        (["--style", "a.png"], "--style: "),
        (["--tile", "128"], "--tile: is for trained generators"),
    ],
)
def test_what_a_graph_cannot_change_is_refused(graph, tmp_path, only_line, options, said):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    assert main(["translate", str(graph), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), *options]) == 2
    assert said in only_line()


def _other(path: Path) -> None:
    """A sound ONNX file that is not of ours."""
    value = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1])
    copied = onnx.helper.make_tensor_value_info("translated", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["image"], ["translated"])
    opsets = [onnx.helper.make_opsetid("", 20)]
    graph = onnx.helper.make_graph([node], "g", [value], [copied])
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def _described(path: Path, about: str) -> None:
    _other(path)
    model = onnx.load(path)
    model.metadata_props.add(key="about", value=about)
    onnx.save(model, path)


ODD = {
    "empty": (lambda path: path.write_bytes(b""), "not a readable ONNX file"),
    "no ONNX": (lambda path: path.write_bytes(b"\x80\x04no graph"), "not a readable ONNX file"),
    "absent": (lambda path: None, "does not exist"),
    "of others": (_other, "does not describe itself"),
    "no JSON": (lambda path: _described(path, "{"), "does not describe itself"),
    "a list": (lambda path: _described(path, "[1]"), "does not describe itself"),
    "no sides": (lambda path: _described(path, '{"to": "y", "pixels": "uint8"}'), "does not describe itself"),
    "deep": (lambda path: _described(path, "[" * 100_000), "does not describe itself"),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_onnx_file_gives_one_line(kind, tmp_path, only_line):
    make, said = ODD[kind]
    make(tmp_path / "a.onnx")
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.onnx"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main(["translate", *arguments]) == 2
    assert said in only_line()


def test_a_pt2_is_not_read_as_that_can_run_code(tmp_path, only_line):
    assert main(["translate", str(tmp_path / "a.pt2"), "a.png", "--out", str(tmp_path / "out")]) == 2
    assert "can run code" in only_line()


def test_the_levels_of_a_graph_are_those_of_picture_files():
    images = torch.linspace(-1.2, 1.2, 4001)[None, None, None].expand(1, 3, 1, -1)
    assert torch.equal(exporting.to_pixels(images, torch.uint8).permute(0, 2, 3, 1), to_bytes(images))
    levels = torch.arange(256, dtype=torch.uint8)[None, None, None].expand(1, 3, 1, -1)
    assert torch.equal(exporting.to_pixels(exporting.from_pixels(levels), torch.uint8), levels)
