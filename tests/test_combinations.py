"""Every method, with all data it learns from and every way of training: it trains, or one true line says why not."""

import dataclasses
import functools
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import nano_methods
import pytest
import torch
from nano_methods import RandomBatches, nano_data, nano_method, norms_of, trainings
from torch import nn
from toy import launch

from cyclegan import distributed
from cyclegan.data.data_config import DATA
from cyclegan.evaluation.validation import Validator
from cyclegan.experiment import Experiment
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.protocols import Prepares, Translates
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig

TIMEOUT = 240  # seconds that nothing here should ever take
CPU = torch.device("cpu")
RUN = {"steps": 2, "log_every": 1, "sample_every": 2, "save_every": 2, "device": "cpu"}


@dataclass(frozen=True)
class Way:
    """A way of training, and the words that a refusal of it begins with."""

    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    processes: int = 1
    said: str = ""


WAYS = {
    "plain": Way(),
    "accumulate": Way({"accumulate": 2}, said="training: accumulate "),
    "recompute": Way({"activation_checkpointing": True}, said="training: activation_checkpointing "),
    "plateau": Way({"schedule": "plateau"}, said="training: schedule plateau "),
    "plateau, validated": Way({"schedule": "plateau"}, {"validation": 0.5}, said="training: schedule plateau "),
    "processes": Way(processes=2, said="method: a batch norm |method: dropout "),
}


def experiment(name: str, kind: str, way: Way, norms: list[str]) -> Experiment:
    """Raises ValueError where the parts do not fit each other."""
    data = {"batch_size": 2} | (way.data if kind != "glyphs" else {})
    settings = Experiment(
        name="nano",
        method=nano_method(name, *norms),
        data=nano_data(kind, name, **data),
        training=TrainingConfig(**RUN | way.training),
    )
    settings.check(way.processes)
    return settings


class Built(NamedTuple):
    """Properties of a method that decide what it can do, by its layers and not by its settings."""

    batch_norms: bool
    dropouts: bool
    blocks: bool
    whole_steps: bool  # it compares gradients of whole batches
    has_truth: bool  # images of what it translates to, to validate by


@functools.cache
def built(name: str, kind: str, *norms: str) -> Built:
    method = nano_method(name, *norms).build(nano_data(kind, name).spec)
    layers = list(method.modules())
    return Built(
        any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in layers),
        any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in layers),
        any(hasattr(layer, "recompute") for layer in layers),
        getattr(method, "whole_steps", False),
        isinstance(method, Translates) and kind in ("unpaired", "paired"),
    )


def has_to_be_refused(method: Built, way: Way) -> bool:
    """Images of a batch must not depend on each other or on common draws, and a plateau needs a validation."""
    in_parts, again = way.training.get("accumulate", 1) > 1, way.training.get("activation_checkpointing", False)
    return (
        (method.batch_norms and (in_parts or again or way.processes > 1))
        or (method.dropouts and way.processes > 1)
        or (method.whole_steps and in_parts)
        or (again and not method.blocks)
        or (way.training.get("schedule") == "plateau" and not (way.data and method.has_truth))
    )


def combinations() -> list[tuple[str, str, str, str]]:
    """Method, data, way of training, norms; batch norms where a method has norms to choose."""
    norms = {name: ["its norms", *["batch norms"] * bool(norms_of(METHODS[name]()))] for name in METHODS.table}
    return [(name, kind, way, norm) for name, kind in trainings() for way in WAYS for norm in norms[name]]


def train(folder: Path, settings: Experiment) -> None:
    """Two steps on noise, each validated, and a checkpoint."""
    torch.manual_seed(0)
    batches, spec = RandomBatches(settings.data), settings.data.spec
    method = settings.method.build(spec)
    if isinstance(method, Prepares):
        method.prepare({style: torch.rand(1, 3, 32, 32) * 2 - 1 for style in spec.styles})
    dataset = SimpleNamespace(spec=spec, held_out=lambda split, count=4: batches.batch_at(count))
    training = {item.name: getattr(settings.training, item.name) for item in dataclasses.fields(settings.training)}
    validator = Validator.of(method, dataset, settings.method.remedies, CPU)
    launch(folder, batches, build=lambda: method, held_out=batches.batch_at(99), validator=validator, **training)


@pytest.mark.parametrize(("name", "kind", "way", "norm"), combinations())
def test_every_combination_trains_or_is_refused_by_a_line_that_is_true(tmp_path, name, kind, way, norm):
    norms = norms_of(nano_method(name)) if norm == "batch norms" else []
    if not has_to_be_refused(built(name, kind, *norms), WAYS[way]):
        settings = experiment(name, kind, WAYS[way], norms)
        if WAYS[way].processes == 1:  # more are tried below
            train(tmp_path, settings)
            assert (tmp_path / "checkpoints" / "step-00000002" / "manifest.json").exists()
            assert (tmp_path / "best.safetensors").exists() == bool(WAYS[way].data)
        return
    with pytest.raises(ValueError, match=f"^({WAYS[way].said})") as refused:
        experiment(name, kind, WAYS[way], norms)
    assert "\n" not in str(refused.value)
    assert unknown_settings(str(refused.value), METHODS[name]) == []
    experiment(name, kind, WAYS["plain"], norms)  # without it, it would do


TOGETHER = """
import json, sys
import torch
from test_combinations import losses_of
from cyclegan import distributed

with distributed.process_group(torch.device("cpu")):
    print(json.dumps({name: losses_of(name, kind) for name, kind in json.loads(sys.argv[1])}))
"""


def losses_of(name: str, kind: str) -> dict[str, float]:
    """The losses of a second step, this process having its share of every batch; in float64."""
    data = nano_data(kind, name, batch_size=2)
    dropout = ["generator.dropout=0.0"] * built(name, kind).dropouts
    torch.manual_seed(0)
    method = nano_method(name, *dropout).build(data.spec).double()
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    for step in range(2):
        batch = RandomBatches(data).batch_at(step)
        shares = (field[distributed.micro_batch_indices(2, 1)] for field in batch)
        torch.manual_seed(step)
        mine = type(batch)(*(share.double() if share.is_floating_point() else share for share in shares))
        losses = distributed.all_reduce_mean(method.training_step(mine, optimizers.minimize))
    return {loss: value.item() for loss, value in losses.items()}


def test_two_processes_train_every_method_as_one_does():
    cases = json.dumps(trainings())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": "2"}
    tests = Path(__file__).parent
    place |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (tests.parent, tests)))}
    command = [sys.executable, "-c", TOGETHER, cases]
    processes = [
        subprocess.Popen(command, env=os.environ | place | {"RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    found = [json.loads(process.communicate(timeout=TIMEOUT)[0].splitlines()[-1]) for process in processes]
    for name, kind in trainings():
        expected = pytest.approx(losses_of(name, kind), rel=1e-6)
        assert (found[0][name], found[1][name]) == (expected, expected), name


WORDS = re.compile(r"\b(?:[a-z][a-z0-9_]*\.)*[a-z][a-z0-9]*_[a-z0-9_]+\b|\b(?:[a-z][a-z0-9_]*\.)+[a-z][a-z0-9_]*\b")


def unknown_settings(text: str, config: type[MethodConfig]) -> list[str]:
    """Settings that a text names, by a dot or an underscore, and that no experiment of the method has.

    Those without a section are of the method, or of the section that the text begins with.
    """
    method = config()
    data = [DATA[kind] for kind in config.learns_from]
    roots = {"method": [method], "training": [TrainingConfig(steps=1)], "data": data}

    def has(owners: list[Any], keys: list[str]) -> bool:
        found = [owner for owner in owners if hasattr(owner, keys[0]) or keys[0] in _fields(owner)]
        return bool(found) and (len(keys) == 1 or has([getattr(owner, keys[0]) for owner in found], keys[1:]))

    near = [method, *roots.get(text.partition(":")[0], [])]
    unknown = []
    for word in WORDS.findall(text):
        keys = word.split(".")
        known = has(roots[keys[0]], keys[1:]) if keys[0] in roots else has(near, keys)
        if not known:
            unknown.append(word)
    return unknown


def _fields(owner: Any) -> set[str]:
    return {item.name for item in dataclasses.fields(owner)}


def test_a_setting_that_a_method_does_not_have_is_noticed():
    advice = (
        "raise lambda_cycle, set training.activation_checkpointing or data.size, "
        "take generator.residual_output=true or method.augment"
    )
    assert unknown_settings(advice, METHODS["cut"]) == ["lambda_cycle", "data.size", "method.augment"]


@pytest.mark.parametrize("name", METHODS.table)
def test_remedies_name_settings_of_the_method(name):
    config = METHODS[name]
    for mode, advice in config.remedies.items():
        assert unknown_settings(advice, config) == [], mode
        for assignment in re.findall(r"\b[a-z_.]+=[a-z0-9_]+", advice):
            assert nano_method(name, assignment)


@pytest.mark.parametrize(("name", "kind"), trainings())
def test_what_is_advised_against_too_little_memory_is_accepted_with_the_default_settings(name, kind):
    config = METHODS[name]()
    spec = dataclasses.replace(nano_data(kind, name).spec, crop_size=256)
    for setting, value in (("activation_checkpointing", True), ("accumulate", 2)):
        if f"training.{setting}" in config.remedies["memory"]:
            config.check(spec, TrainingConfig(steps=1, **{setting: value}))


@pytest.mark.parametrize("name", METHODS.table)
def test_every_method_keeps_the_protocol_of_settings_and_has_a_nano_form(name):
    config = nano_method(name)
    assert isinstance(config, MethodConfig)
    assert config.name == name
    assert set(config.learns_from) <= set(DATA.table)
    assert not config.learns_from or "memory" in config.remedies


def test_a_method_without_nano_settings_is_told_by_name(monkeypatch):
    monkeypatch.delitem(nano_methods.NANO_METHODS, "cut")
    with pytest.raises(AssertionError, match="cut: has no nano settings yet; add a line to NANO_METHODS"):
        nano_method("cut")


@pytest.mark.parametrize(("name", "kind"), trainings())
def test_other_data_than_a_method_learns_from_are_refused_by_name(name, kind):
    for other in set(DATA.table) - set(METHODS[name].learns_from):
        with pytest.raises(ValueError, match=f"data: {name} learns from {kind}.* data, not from {other}"):
            experiment(name, other, WAYS["plain"], [])
