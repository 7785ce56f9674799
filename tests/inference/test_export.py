"""export: a release loads again and has a card; what cannot be meant is one line."""

import errno
import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from building import build
from photos import noise
from PIL import Image

from cyclegan import load
from cyclegan.cli import main
from cyclegan.config import dump
from cyclegan.errors import UserError
from cyclegan.export.graph_files import export
from cyclegan.images.tensors import from_bytes
from cyclegan.methods.adain import AdaINConfig
from cyclegan.training.checkpoint import read_release, write_tensors


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
        (["--out", "there.safetensors/a.onnx"], "there.safetensors/a.onnx: cannot be written"),
        (["--out", "full.pt2"], "full.pt2: cannot be written (Is a directory); give another --out"),
    ],
)
def test_what_cannot_be_meant_gives_one_line(run, tmp_path, monkeypatch, only_line, arguments, said):
    monkeypatch.chdir(tmp_path)
    Path("there.safetensors").write_bytes(b"mine")
    for folder in (Path("full"), Path("full.pt2")):
        folder.mkdir()
        (folder / "mine").write_bytes(b"mine")
    assert main(["export", str(run.folder), *arguments]) == 2
    assert said in only_line()
    assert Path("there.safetensors").read_bytes() == b"mine"
    assert not Path("a").exists()


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, 4), (errno.EDQUOT, 4), (errno.EROFS, 4), (errno.EACCES, 2), (errno.EPERM, 2), (errno.ENOENT, 2)],
)
def test_only_a_disk_that_is_full_or_gone_is_exit_code_4(run, tmp_path, monkeypatch, only_line, number, code):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys.modules[export.__module__], "save_release", refuse)
    out = tmp_path / "exported" / "release"
    assert main(["export", str(run.folder), "--out", str(out)]) == code
    said = f"error: {out}: cannot be written ({os.strerror(number)}); give another --out or make room"
    assert only_line() == said
    assert list(out.parent.iterdir()) == []


def test_what_paints_after_an_example_is_refused(tmp_path, only_line):
    about = {"format": 1, "library": "0", "method": dump(AdaINConfig(encoder="random")), "step": 1, "x": "c", "y": "s"}
    networks = torch.nn.ModuleDict(build(AdaINConfig(encoder="random")).networks())
    write_tensors(tmp_path / "adain.safetensors", networks.state_dict(), {"about": about})
    for checkpoint, said in ((tmp_path / "adain.safetensors", "needs a style image"), ("a.yaml", "no network")):
        assert main(["export", str(checkpoint), "--out", str(tmp_path / "a.onnx")]) == 2
        assert said in only_line()


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_packages_one_line_says_how_to_get_them(run, tmp_path, monkeypatch, only_line, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", str(run.folder), "--out", str(tmp_path / "a.onnx")]) == 2
    assert only_line() == f"error: {package} is not installed; pip install onnx onnxscript onnxruntime"
    assert main(["export", str(run.folder), "--out", str(tmp_path / "a")]) == 0  # needs none of them


OLD = ModuleNotFoundError("No module named 'onnxscript._apis.new'", name="onnxscript._apis.new")
BROKEN = ImportError("cannot import name 'helper' from 'onnx'", name="onnx")


@pytest.mark.parametrize(("error", "package"), [(OLD, "onnxscript"), (BROKEN, "onnx")])
def test_packages_that_do_not_fit_are_one_line(run, tmp_path, monkeypatch, only_line, error, package):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.onnx, "export", refuse)
    assert main(["export", str(run.folder), "--out", str(tmp_path / "a.onnx")]) == 2
    remedy = "pip install --upgrade onnx onnxscript onnxruntime"
    assert only_line() == f"error: {package} does not fit the installed torch ({error}); {remedy}"
    assert not list(tmp_path.glob("*.onnx"))
