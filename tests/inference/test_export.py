"""export: a graph gives what the network gives, at any size and without our code; a release loads again."""

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
import yaml
from PIL import Image

from cyclegan import load
from cyclegan.cli import main
from cyclegan.config import dump
from cyclegan.errors import NoSpaceError, UserError
from cyclegan.images import from_bytes, to_bytes
from cyclegan.inference.export import TOLERANCE, export
from cyclegan.inference.translate import translate
from cyclegan.methods import build
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.methods.players import build_generator
from cyclegan.methods.settings import AdaINConfig
from cyclegan.networks.settings import GeneratorConfig, UnetConfig
from cyclegan.training.checkpoint import read_release, write_tensors

exporting = sys.modules[export.__module__]  # the function hides its module


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


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


def test_a_graph_describes_itself_and_names_no_file_of_ours(graph):
    about = json.loads(onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map["about"])
    assert {key: about[key] for key in ("x", "y", "to", "pixels", "step")} == {
        "x": "photo",
        "y": "painting",
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
        {"downsamplings": 1, "norm": "none", "ends": "shuffle", "start": "identity"},
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


def test_a_graph_that_differs_is_not_left_behind(run, tmp_path, monkeypatch, capsys):
    to_graph = exporting.to_pixels
    monkeypatch.setattr("cyclegan.inference.graph.to_pixels", lambda images, kind: to_graph(images + 0.01, kind))
    assert main(["export", str(run.folder), "--out", str(tmp_path / "new" / "a.onnx")]) == 2
    assert "a.onnx: not written, as it differs from the network by 0.01, more than 0.0001;" in only_line(capsys)
    assert not list((tmp_path / "new").iterdir())


def test_a_result_that_is_no_number_is_a_difference(method):
    spoil = lambda pixels: torch.full(pixels.shape, torch.nan)  # noqa: E731
    assert not exporting.difference(method.x_to_y, spoil, torch.float32) <= TOLERANCE


def test_a_graph_is_loaded_like_a_run(graph, run, tmp_path):
    painter, network = load(graph), load(run.folder, device="cpu")
    picture = Image.fromarray(noise(30, 45, 3))
    assert (painter.x, painter.y, painter.step) == ("photo", "painting", 20)
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
    with pytest.raises(NoSpaceError, match=r"a\.png: 8×8 pixels need more memory"):
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
def test_what_a_graph_cannot_change_is_refused(graph, tmp_path, capsys, options, said):
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    assert main(["translate", str(graph), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), *options]) == 2
    assert said in only_line(capsys)


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
def test_an_odd_onnx_file_gives_one_line(kind, tmp_path, capsys):
    make, said = ODD[kind]
    make(tmp_path / "a.onnx")
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.onnx"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main(["translate", *arguments]) == 2
    assert said in only_line(capsys)


def test_a_pt2_is_not_read_as_that_can_run_code(tmp_path, capsys):
    assert main(["translate", str(tmp_path / "a.pt2"), "a.png", "--out", str(tmp_path / "out")]) == 2
    assert "can run code" in only_line(capsys)


@pytest.mark.parametrize("name", ["hub", "both.safetensors"])
def test_a_release_of_both_directions_is_the_run_without_its_state(run, tmp_path, name):
    assert export(run.folder, tmp_path / name).startswith(f"{tmp_path / name}: photo ↔ painting, ")
    images = from_bytes(noise(30, 45, 3))
    released, trained = load(tmp_path / name, "cpu"), load(run.folder, "cpu")
    for side in ("photo", "painting"):
        assert torch.equal(released(images, to=side), trained(images, to=side))


@pytest.mark.parametrize("name", ["hub", "one.safetensors"])
def test_a_release_of_one_direction_holds_one_network(run, tmp_path, name):
    export(run.folder, tmp_path / name, to="photo")
    released = load(tmp_path / name, "cpu")
    assert (list(released.networks), released.to) == (["F"], "photo")
    images = from_bytes(noise(30, 45, 3))
    assert torch.equal(released(images), load(run.folder, "cpu")(images, to="photo"))
    with pytest.raises(UserError, match=r"'painting': this model translates to 'photo'$"):
        released(images, to="painting")
    export(tmp_path / name, tmp_path / "again.safetensors")
    assert read_release(tmp_path / "again.safetensors")[1] == dict(released.about)


def test_a_folder_has_a_card_whose_own_example_works(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export(run.folder, Path("hub"))
    assert {path.name for path in Path("hub").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    card = Path("hub/README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["pipeline_tag"] == "image-to-image"
    assert head["license"] == "unknown"
    assert {"photo", "painting"} <= set(head["tags"])
    assert json.loads(Path("hub/config.json").read_text(encoding="utf-8"))["step"] == 20
    Image.fromarray(noise(9, 12, 3)).save("picture.jpg")
    (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(example.replace("path/to/this/folder", "hub"), {})
    for name in ("translated.png", "back.png"):
        with Image.open(name) as picture:
            assert picture.size == (12, 9)


def test_the_card_says_what_it_learned_from_and_how_good_it_is(save_run, tmp_path):
    folder = save_run(
        tmp_path / "run", domain="photo2painting", seed=7, ema=0.9, training_images={"photo": 1200, "painting": 80}
    )
    (folder / "evaluation").mkdir()
    tables = "## photo2painting\n\n| PSNR |\n| --- |\n| 22.70 |\n\n## painting2photo\n\n| PSNR |\n| --- |\n| 11.11 |\n"
    (folder / "evaluation" / "evaluation.md").write_text(tables)
    (folder / "evaluation" / "evaluation.json").write_text('{"provenance": {"step": 20}}')
    export(folder, tmp_path / "both")
    export(folder, tmp_path / "one", to="photo")
    export(folder / "checkpoints" / "step-00000010", tmp_path / "older")
    both, one, older = ((tmp_path / name / "README.md").read_text("utf-8") for name in ("both", "one", "older"))
    assert "20 steps with seed 7; pictures: 1,200 (photo) and 80 (painting)" in both
    assert "scikit-image" in both
    assert "### photo2painting\n\n| PSNR |" in both
    assert ("22.70" in both, "11.11" in both) == (True, True)
    assert ("22.70" in one, "11.11" in one) == (False, True)
    assert "## Evaluation" not in older  # which has numbers of other weights only


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "a.pt"], "no format ends in .pt"),
        (["--out", "a.tflite"], "no format ends in .tflite"),
        (["--out", "a.onnx", "--to", "paintings"], "did you mean 'painting'?"),
        (["--out", "a", "--to", "zebra"], "this model translates to"),
        (["--out", "a", "--pixels", "uint8"], "--pixels: "),
        (["--out", "there.safetensors"], "weights are not written over"),
        (["--out", "full"], "weights are not written over"),
        (["--out", "there.safetensors/a.onnx"], "cannot be written"),
    ],
)
def test_what_cannot_be_meant_gives_one_line(run, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("there.safetensors").write_bytes(b"mine")
    Path("full").mkdir()
    Path("full/mine").write_bytes(b"mine")
    assert main(["export", str(run.folder), *arguments]) in (2, 4)
    assert said in only_line(capsys)
    assert Path("there.safetensors").read_bytes() == b"mine"
    assert not Path("a").exists()


def test_what_paints_after_an_example_is_refused(tmp_path, capsys):
    about = {"format": 1, "library": "0", "method": dump(AdaINConfig(encoder="random")), "step": 1, "x": "c", "y": "s"}
    networks = torch.nn.ModuleDict(build(AdaINConfig(encoder="random")).networks())
    write_tensors(tmp_path / "adain.safetensors", networks.state_dict(), {"about": about})
    for checkpoint, said in ((tmp_path / "adain.safetensors", "paints after an example"), ("a.yaml", "no network")):
        assert main(["export", str(checkpoint), "--out", str(tmp_path / "a.onnx")]) == 2
        assert said in only_line(capsys)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_packages_one_line_says_how_to_get_them(run, tmp_path, monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", str(run.folder), "--out", str(tmp_path / "a.onnx")]) == 2
    assert only_line(capsys) == f"error: {package} is not installed; pip install onnx onnxscript onnxruntime"
    assert main(["export", str(run.folder), "--out", str(tmp_path / "a")]) == 0  # needs none of them


def only_line(capsys: pytest.CaptureFixture) -> str:
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error"))
    return line


def test_the_levels_of_a_graph_are_those_of_picture_files():
    images = torch.linspace(-1.2, 1.2, 4001)[None, None, None].expand(1, 3, 1, -1)
    assert torch.equal(exporting.to_pixels(images, torch.uint8).permute(0, 2, 3, 1), to_bytes(images))
    levels = torch.arange(256, dtype=torch.uint8)[None, None, None].expand(1, 3, 1, -1)
    assert torch.equal(exporting.to_pixels(exporting.from_pixels(levels), torch.uint8), levels)
