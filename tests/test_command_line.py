"""The `cyclegan` command as a user types it: what it prints, what it leaves behind, and how it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from little import write_gatys
from PIL import Image

from cyclegan.cli import main
from cyclegan.data.cards import DATASETS
from cyclegan.images.rgb8 import read_picture

SMOKE = DATASETS.parent / "experiments" / "smoke" / "cyclegan.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A nano run, trained through the command line."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", str(SMOKE), "--set", "training.steps=10"]) == 0
    return folder / "runs" / "photo2painting" / "smoke"


def test_help_needs_no_heavy_library():
    heavy = "{'torch', 'numpy', 'PIL', 'scipy', 'skimage', 'yaml'}"
    script = f"import sys; from cyclegan.cli import parser; parser().format_help(); print({heavy} & set(sys.modules))"
    assert _python("-c", script).stdout.strip() == "set()"


def test_data_starts_without_pytorch():
    script = "import sys; from cyclegan.cli import main; main(['data', 'list']); print('torch' in sys.modules)"
    assert _python("-c", script).stdout.splitlines()[-1] == "False"


def test_show_prints_the_settings_and_in_comments_what_they_take_here(capsys):
    assert main(["show", str(SMOKE)]) == 0
    printed = capsys.readouterr().out
    comments = [line for line in printed.splitlines() if line.startswith("# ")]
    assert [line.split()[1] for line in comments] == ["device", "networks", "training", "a", "needs"]
    assert re.search(r"needs +about .*, [\d,]+ MB of memory, [\d,]+ MB of disk", comments[-1])
    assert yaml.safe_load(printed)["training"]["steps"] == 60


def test_show_prints_the_settings_of_what_needs_weights_that_are_not_here(monkeypatch, tmp_path, capsys):
    for variable in ("CYCLEGAN_WEIGHTS", "TORCH_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("went to the network"))
    assert main(["show", str(SMOKE.parents[1] / "adain-cpu" / "photo2monet.yaml")]) == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["method"]["name"] == "adain"
    assert "# no forecast: " in printed


def test_train_leaves_settings_log_pictures_checkpoints_and_scores(run):
    names = {path.name for path in run.iterdir()}
    assert {"config.yaml", "environment.json", "log.jsonl", "samples", "checkpoints", "evaluation"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert {path.name for path in (run / "samples").iterdir()} == {
        "step-00000010-x_to_y.png",
        "step-00000010-y_to_x.png",
    }
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["step-00000005", "step-00000010"]


def test_evaluate_prints_baselines_the_run_and_oracles_in_both_directions(run, capsys):
    assert main(["evaluate", str(run), "--metrics", "psnr", "patch-swd", "ms-ssim", "change"]) == 0
    printed = capsys.readouterr().out
    for row in ("best per-pixel map", "best linear 7×7"):
        assert printed.count(f"| {row}") == 2  # once for each task
    for row in ("identity", "median + Monge-Kantorovich", "cyclegan, step 10"):
        assert printed.count(f"| {row}") >= 8  # four tables of each task
    report = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert report["provenance"]["step"] == 10
    assert set(report["tasks"]) == {"photo2painting", "painting2photo"}


def test_translate_keeps_names_tree_and_sizes_and_names_the_bad_ones(run, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (450, 301, 3), dtype=np.uint8)
    Image.fromarray(noise).save(pictures / "deep" / "odd.png")
    Image.fromarray(noise[:1, :1]).save(pictures / "dot.png")
    (pictures / "broken.jpg").write_bytes(b"no picture")

    assert main(["translate", str(run), str(pictures), "--to", "painting", "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "2 of 3 pictures translated to painting" in captured.out
    assert "broken.jpg" in captured.err
    assert read_picture(tmp_path / "out" / "deep" / "odd.png").shape == (450, 301, 3)
    assert read_picture(tmp_path / "out" / "dot.png").shape == (1, 1, 3)


def test_translate_says_what_the_sides_are_called(run, tmp_path, capsys):
    assert main(["translate", str(run), str(SMOKE), "--to", "paintings", "--out", str(tmp_path)]) == 2
    assert "did you mean 'painting'?" in _only_line(capsys.readouterr().err)


@pytest.fixture
def example(tmp_path) -> Path:
    """A picture to paint like, and beside it the settings of a method."""
    pixels = np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "style.png")
    write_gatys(tmp_path, steps=2)
    return tmp_path / "style.png"


def test_a_method_file_paints_after_an_example(example, capsys):
    arguments = [str(example.with_name("gatys.yaml")), str(example), "--out", str(example.parent / "out")]
    assert main(["translate", *arguments, "--style", str(example)]) == 0
    assert "1 of 1 pictures translated to style" in capsys.readouterr().out
    assert read_picture(example.parent / "out" / "style.png").shape == (20, 24, 3)
    assert main(["translate", *arguments]) == 2
    assert "--style" in _only_line(capsys.readouterr().err)


def test_the_controls_of_a_method_are_reached(example, capsys):
    arguments = [str(example.with_name("gatys.yaml")), str(example), "--out", str(example.parent / "out")]
    styles = ["--style", str(example), str(example), "--weights", "2", "1"]
    assert main(["translate", *arguments, *styles, "--set", "init=noise", "--bits", "16", "--every", "1"]) == 0
    written = {path.relative_to(example.parent / "out").as_posix() for path in (example.parent / "out").rglob("*.*")}
    assert written == {"style.tif", "style/step-00001.png", "style/step-00002.png"}
    assert main(["translate", *arguments, *styles, "--set", "inti=noise"]) == 2
    assert "did you mean 'init'?" in _only_line(capsys.readouterr().err)
    assert main(["translate", *arguments, "--style", str(example), "--weights", "2", "1"]) == 2
    assert "weights: 2 given for 1 styles" in _only_line(capsys.readouterr().err)
    with pytest.raises(SystemExit) as refused:
        main(["translate", *arguments, "--style", str(example), "--every", "0"])
    assert refused.value.code == 2


def test_a_translator_of_domains_takes_no_example(run, example, capsys):
    out = str(example.parent / "out")
    assert main(["translate", str(run), str(example), "--style", str(example), "--out", out]) == 2
    assert "takes no style image" in _only_line(capsys.readouterr().err)


def test_gatys_cannot_be_trained(example, capsys):
    path = example.with_name("train.yaml")
    path.write_text("name: a\nmethod: {name: gatys}\ndata: {domain: photo2painting}\ntraining: {steps: 5}\n")
    assert main(["train", str(path)]) == 2
    assert "gatys learns nothing" in _only_line(capsys.readouterr().err)


def test_compare_leaves_an_image_grid_a_table_and_a_page_and_names_what_failed(run, example, monkeypatch, capsys):
    monkeypatch.chdir(example.parent)
    (example.parent / "three.yaml").write_text(
        f"""
images: [{example}]
timed: [32]
translators:
  identity: {{name: identity}}
  gatys: {{name: method, file: gatys.yaml, style: [{example}]}}
  cyclegan: {{name: run, folder: {run}, to: painting}}
  absent: {{name: run, folder: nowhere}}
"""
    )
    assert main(["compare", "three.yaml"]) == 2
    captured = capsys.readouterr()
    assert "absent failed: nowhere: does not exist" in captured.err
    for row in ("identity", "gatys", "cyclegan", "absent"):
        assert f"| {row} |" in captured.out
    written = {path.name for path in (example.parent / "runs" / "compare" / "three").iterdir()}
    assert written == {"compare.json", "compare.md", "index.html", "grid.png"}


def test_a_run_with_other_settings_is_refused_with_the_difference_and_the_remedies(run, monkeypatch, capsys):
    monkeypatch.chdir(run.parents[2])
    assert main(["train", str(SMOKE), "--set", "training.steps=10", "--set", "seed=1"]) == 2
    refusal = capsys.readouterr().err
    assert "seed: 0 → 1" in refusal
    assert "--set name=" in refusal
    assert "rm -r" in refusal


def test_a_missing_data_set_is_explained_in_three_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path))
    monkeypatch.setattr("cyclegan.data.cards.DATASETS", _cards_without_pictures(tmp_path / "cards"))
    assert main(["train", str(DATASETS.parent / "experiments" / "cyclegan" / "horse2zebra.yaml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "horse2zebra" in lines[0]
    assert "cyclegan data fetch horse2zebra" in lines[1]
    assert "horse2zebra.zip" in lines[2]


WRONG = {  # 20 kinds of mistakes, and a word of the answer
    "method: {lambda_cyle: 3}": "did you mean 'lambda_cycle'?",
    "mehtod: {}": "did you mean 'method'?",
    "seed: half": "seed",
    "seed: 1.5": "seed",
    "seed: true": "seed",
    "method: {name: cyclgan}": "cyclgan",
    "method: {lambda_cycle: ten}": "method.lambda_cycle",
    "method: {lambda_cycle: .nan}": "method.lambda_cycle",
    "method: {lambda_cycle: null}": "method.lambda_cycle",
    "method: {generator: {upsampling: bilinear}}": "not one of transposed, resize",
    "method: {generator: 3}": "method.generator",
    "training: {steps: 0}": "training.steps",
    "training: {steps: 5, optimizer: {betas: [0.5]}}": "training.optimizer.betas",
    "training: {steps: 5, keep_checkpoints: 1}": "training.keep_checkpoints",
    "training: {log_every: 5}": "training.steps",
    "data: {domain: photo2painting, crop_size: 300}": "crop_size",
    "data: {domain: photo2painting, load_size: null, crop_size: 50}": "a multiple of 4",
    "data: {domain: photo2painting, load_size: null, crop_size: 16}": "at least 24",
    "seed: -1": "at least 0",
    "data: {domain: photo2painting, x: photos}": "domain",
    "data: {domain: photo2paintings}": "did you mean",
    "seed: 1\nseed: 2": "given twice",
    "method: &m {}\ndata: *m": "alias",
    "- a list": "wrong.yaml",
    "seed: [1": "wrong.yaml",
    "": "wrong.yaml",
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_experiment_gives_one_line_and_exit_code_2(mistake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wrong.yaml"
    whole = {"name": "name: a", "data": "data: {domain: photo2painting}", "training": "training: {steps: 5}"}
    rest = [line for key, line in whole.items() if mistake[:1].isalpha() and f"{key}:" not in mistake]
    path.write_text("\n".join([mistake, *rest]))
    assert main(["train", str(path)]) == 2
    assert WRONG[mistake] in _only_line(capsys.readouterr().err)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("override", ["seed", "seed=", "sede=1", "training.steps=many", "seed.x=1"])
def test_a_wrong_override_gives_one_line_and_exit_code_2(override, capsys):
    assert main(["show", str(SMOKE), "--set", override]) == 2
    assert "--set" in _only_line(capsys.readouterr().err)


def _only_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("error: ")
    return line


def _python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=120)


def _cards_without_pictures(folder: Path) -> Path:
    folder.mkdir()
    for card in DATASETS.glob("*.yaml"):
        (folder / card.name).write_text(card.read_text())
    return folder
