"""The steps of README's "Add a method" and "Add a loss", followed literally in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

METHOD = '''
"""Recolor: a 1×1 convolution that learns the colors of pairs.

Objective  E‖y − G(x)‖₁
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from cyclegan.methods.checks import check_checkpointing, check_schedule
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.protocols import Preview


@dataclass(frozen=True, kw_only=True)
class RecolorConfig:
    """Settings."""

    learns_from: ClassVar = ("paired",)
    remedies: ClassVar = {}

    name: Literal["recolor"] = "recolor"
    weight: float = 1.0

    def check(self, spec, training, processes=1):
        check_checkpointing(training, None)
        check_schedule(spec, training)

    def build(self, spec, train=True):
        return Recolor(self, spec)


class Recolor(nn.Module):
    """G."""

    def __init__(self, config, spec):
        super().__init__()
        self.config, self.target = config, spec.names["y"]
        self.G = nn.Conv2d(*spec.channels("x", "y"), 1)

    def parameter_groups(self):
        return {"generator": self.G.parameters()}

    def networks(self):
        return {"G": self.G}

    @property
    def translators(self):
        return {self.target: NetworkTranslator(self.G, 1, 1)}

    def training_step(self, batch, minimize):
        losses = {"l1": self.config.weight * (self.G(batch.x) - batch.y).abs().mean()}
        minimize("generator", losses)
        return losses

    @torch.no_grad()
    def preview(self, batch):
        fake = self.G(batch.x)
        return Preview({"x_to_y": {"x": batch.x, "G(x)": fake}}, translations={"G(x)": (batch.x, fake)})
'''
EXPERIMENT = """
name: smoke-recolor
method: {name: recolor}
data: {name: paired, domain: scene2canvas, load_size: null, crop_size: 32, batch_size: 2}
training: {steps: 2, log_every: 1}
"""


@pytest.fixture
def copy(tmp_path) -> Path:
    for folder in ("cyclegan", "experiments", "datasets"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def steps_of(heading: str) -> str:
    """The steps below a heading of README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(rf"### {heading}\n(.*?)\n(?=##|Differences)", readme, re.DOTALL)[1]


def train(copy: Path, file: str, *arguments: str) -> list[dict]:
    """Train in the copy, without scores; the lines of the log."""
    code = "import sys; from cyclegan.commands import evaluate, train; evaluate.evaluate_run = lambda *_, **__: {}; "
    code += "from pathlib import Path; print(train.train(Path(sys.argv[1]), sys.argv[2:]))"
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-c", code, str(copy / "experiments" / file), *arguments]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = copy / done.stdout.splitlines()[-1]
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_method_is_one_file_one_line_and_a_yaml(copy):
    steps = steps_of("Add a method")
    assert all(word in steps for word in ("learns_from", "remedies", "check", "build", "METHODS", "Trainable"))
    (copy / "cyclegan/methods/recolor.py").write_text(METHOD.lstrip(), encoding="utf-8")
    table = copy / "cyclegan/methods/__init__.py"
    line = '        "pix2pix": "cyclegan.methods.pix2pix:Pix2PixConfig",\n'
    text = table.read_text(encoding="utf-8")
    assert line in text
    table.write_text(text.replace(line, line + '        "recolor": "cyclegan.methods.recolor:RecolorConfig",\n'))
    (copy / "experiments/smoke/recolor.yaml").write_text(EXPERIMENT)
    log = train(copy, "smoke/recolor.yaml")
    assert [record["step"] for record in log] == [1, 2]
    assert list(log[0]["loss"]) == ["l1"]


def test_a_loss_is_a_function_and_a_line(copy):
    steps = steps_of("Add a loss")
    assert all(word in steps for word in ("cyclegan/losses/", "training_step", "weight"))
    losses = copy / "cyclegan/losses/regularization.py"
    losses.write_text(
        losses.read_text(encoding="utf-8")
        + '\n\ndef brightness(images: Images) -> Float[Tensor, ""]:\n    """E[G(x)]²."""\n'
        + "    return images.mean().square()\n"
    )
    method = copy / "cyclegan/methods/pix2pix.py"
    text = method.read_text(encoding="utf-8")
    text = text.replace(
        "    test_time: Literal", "    lambda_brightness: float = 2.0\n    test_time: Literal", 1
    ).replace(
        'generator = {"l1": ', 'generator = {"brightness": config.lambda_brightness * brightness(fake), "l1": ', 1
    )
    method.write_text(
        text.replace("import torch\n", "import torch\nfrom cyclegan.losses.regularization import brightness\n", 1)
    )
    log = train(copy, "smoke/pix2pix.yaml", "training.steps=2", "training.log_every=1", "method.lambda_brightness=0.5")
    assert {"brightness", "l1", "gan", "D"} == set(log[-1]["loss"])
