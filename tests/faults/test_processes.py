"""Two processes are one: in what they compute, and when one of them dies or falls silent.

Weights in float32 are compared after no more than one step, whatever the optimizer: a ReLU is open on one side of 0 and
closed on the other, so that sooner or later a rounding of 1e-7 opens one, and the gradient jumps by a few per cent.
A bias that an instance norm cancels has a gradient of rounding alone, which Adam takes for one; it changes no image.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch
from watching import wait_until

from cyclegan import distributed
from cyclegan.training.checkpoint import list_checkpoints, read_tensors

TIMEOUT = 240  # seconds that nothing here should ever take
SILENCE = 10  # seconds after which a process gives up waiting for the other
COMMON = """
import sys
from pathlib import Path
import torch
from cyclegan import distributed
from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig

SMALL = CycleGANConfig(
    generator=GeneratorConfig(base_channels=4, blocks=1),
    discriminator=DiscriminatorConfig(base_channels=4, layers=2),
    buffer_size=6,
    lambda_r1=1.0,
    r1_every=2,
    lambda_gp=1.0,
    augment=("color", "translation", "cutout"),
)

def share(step, dtype, parts=1):
    drawn = torch.rand(2, 4 * parts, 3, 32, 32, dtype=dtype, generator=torch.Generator().manual_seed(step)) * 2 - 1
    mine = distributed.micro_batch_indices(4 * parts, parts)
    return UnpairedBatch(drawn[0, mine], drawn[1, mine])
"""
STEPS = (
    COMMON
    + """
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig
from cyclegan.training.micro_batches import in_micro_batches

def trained(dtype, steps, parts=1):
    torch.manual_seed(0)
    method = SMALL.build(DataSpec()).to(dtype)
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig(), parts)
    for step in range(steps):
        torch.manual_seed(step)
        losses = in_micro_batches(method, parts)(share(step, dtype, parts), optimizers.minimize)
    return method, distributed.all_reduce_mean(losses)

def gradients(method):
    return {name: parameter.grad for name, parameter in method.named_parameters()}

with distributed.process_group(torch.device("cpu")):
    double, losses = trained(torch.float64, 20)
    first, _ = trained(torch.float32, 1)
    in_parts, of_parts = trained(torch.float64, 6, parts=2)
    if distributed.rank() == 0:
        found = {"Adam": double.state_dict(), "losses": losses, "gradients in float64": gradients(double)}
        found |= {"in parts": in_parts.state_dict(), "losses in parts": of_parts}
        torch.save(found | {"gradients": gradients(first)}, sys.argv[1])
"""
)
TRAIN = (
    COMMON
    + """
from cyclegan.cli import main
from cyclegan.commands import train as command
from cyclegan.training.loop import train
from cyclegan.training.run import Run, NullRecorder
from cyclegan.training.training_config import TrainingConfig

class Noise:
    def batch_at(self, step):
        batch = share(step, torch.float64)
        if sys.argv[1:] == ["picture"] and step == 6 and distributed.rank() == 1:
            batch.x[0, 0, 5, 5] = float("nan")
        return batch

    def names_at(self, step):
        return {}

def start(*_):
    folder, config = Path("run"), TrainingConfig(steps=40, log_every=5, sample_every=40, save_every=5, device="cpu")
    with distributed.process_group(torch.device("cpu")) as device:
        torch.manual_seed(0)
        method = SMALL.build(DataSpec()).double()
        if sys.argv[1:] == ["gradient"] and distributed.rank() == 1:
            method.F.layers[1].weight.register_hook(lambda gradient: gradient * float("nan"))
        folder.mkdir(exist_ok=True)
        run = Run(folder, "name: two\\n", {}) if distributed.rank() == 0 else NullRecorder(folder)
        train(method, Noise(), Noise().batch_at(99), config, run, seed=0, device=device, about={"x": "x", "y": "y"})
    return 0

command.train = start
sys.exit(main(["train", "this.yaml"]))
"""
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(script: str, count: int, folder: Path, *arguments: str) -> Iterator[list[subprocess.Popen]]:
    """So many processes without torchrun, which would look after them; none outlives this context."""
    common = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(distributed.__file__).parents[1])}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    common |= {"CYCLEGAN_TIMEOUT": str(SILENCE)}
    with ExitStack() as stack:
        processes = []
        for rank in range(count):
            said = stack.enter_context((folder / f"said{rank}.txt").open("w"))
            environment = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, "-c", script, *arguments]
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
            stack.callback(process.wait, TIMEOUT)
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def finish(script: str, count: int, folder: Path, *arguments: str) -> None:
    with started(script, count, folder, *arguments) as processes:
        for rank, process in enumerate(processes):
            assert process.wait(TIMEOUT) == 0, (folder / f"said{rank}.txt").read_text()


def largest_difference(ones: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    assert ones.keys() == others.keys()
    return max(float((tensor - others[name]).abs().max()) for name, tensor in ones.items() if tensor.numel())


def relative(ones: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """The largest error of a tensor, in norms of the tensors of its network."""
    assert ones.keys() == others.keys()
    networks = {name.split(".")[0] for name in ones}
    flat = [
        {n: torch.cat([t.flatten() for k, t in each.items() if k.startswith(n)]) for n in networks}
        for each in (ones, others)
    ]
    return max(float((flat[0][n] - flat[1][n]).norm() / flat[0][n].norm()) for n in networks)


@pytest.mark.slow
@pytest.mark.parametrize("many", [2, 4])
def test_many_processes_compute_what_one_does(tmp_path, figure, many):
    for count in (1, many):
        finish(STEPS, count, tmp_path, f"{count}.pt")
    alone, together = (torch.load(tmp_path / f"{count}.pt") for count in (1, many))
    gradients = alone["gradients in float64"]
    assert largest_difference(gradients, together["gradients in float64"]) <= 1e-10
    assert largest_difference(alone["losses"], together["losses"]) <= 1e-10
    assert largest_difference(alone["losses in parts"], together["losses in parts"]) <= 1e-10
    idle = {name for name, gradient in gradients.items() if gradient.abs().max() < 1e-12}
    assert idle
    assert all(name.endswith("bias") for name in idle)
    weights, in_parts, biases = (
        largest_difference(*({name: each[which][name] for name in names} for each in (alone, together)))
        for which, names in (
            ("Adam", alone["Adam"].keys() - idle),
            ("in parts", alone["Adam"].keys() - idle),
            ("Adam", idle),
        )
    )
    assert weights <= 1e-10  # and the past fakes
    assert in_parts <= 1e-10
    assert biases <= 1e-9
    first = relative(alone["gradients"], together["gradients"])
    assert first <= 1e-5
    assert weights > 0  # they did not do the same sums
    figure(
        "P1",
        f"{many} processes as 1: weights after 20 steps of Adam in float64 {weights:.1e} apart "
        f"({biases:.1e} for biases that an instance norm cancels), "
        f"{in_parts:.1e} after 6 in two parts each, first gradients in float32 {first:.1e}",
    )


# One of two fails


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The last checkpoint of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    finish(TRAIN, 2, folder)
    return newest(folder)


def newest(folder: Path) -> Path:
    return list_checkpoints(folder / "run" / "checkpoints")[-1]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "falls silent"])
def test_when_one_of_two_processes(tmp_path, whole, figure, fault):
    (tmp_path / "two").mkdir()
    saved = tmp_path / "two" / "run" / "checkpoints" / "step-00000010"
    said = tmp_path / "two" / "said0.txt"
    with started(TRAIN, 2, tmp_path / "two") as (first, second):
        wait_until(saved.exists, first, said.read_text, TIMEOUT)
        second.send_signal(fault)
        begun = time.monotonic()
        assert first.wait(2 * SILENCE) == 4, said.read_text()
        seconds = time.monotonic() - begun
    assert said.read_text().splitlines()[-1].startswith("error: another process")
    shutil.copytree(tmp_path / "two", tmp_path / "one")
    apart = []
    for count, name in ((2, "two"), (1, "one")):
        finish(TRAIN, count, tmp_path / name)
        assert "continuing after step" in (tmp_path / name / "said0.txt").read_text()
        states = [read_tensors(each / "state.safetensors")[0] for each in (whole, newest(tmp_path / name))]
        apart.append(largest_difference(*states))
    assert max(apart) <= 1e-10
    how = "killed" if fault == signal.SIGKILL else f"stopped, {SILENCE} s to answer"
    figure(
        "P2",
        f"one of two {how}: the other ends after {seconds:.1f} s with exit 4; "
        f"continued on 2 and on 1, weights {apart[0]:.1e} and {apart[1]:.1e} apart",
    )


FAULTS = {  # what is not finite on the second of two processes -> what both say of it
    "picture": ("after step 6", "gan_G = nan, cycle_x = nan"),
    "gradient": ("after step 0", "1 of the 32 gradients of generators: no longer finite"),
}


@pytest.mark.parametrize("fault", ["picture", pytest.param("gradient", marks=pytest.mark.slow)])
def test_what_is_not_finite_on_one_of_two_processes_ends_both(tmp_path, figure, fault):
    when, what = FAULTS[fault]
    with started(TRAIN, 2, tmp_path, fault) as processes:
        assert [process.wait(TIMEOUT) for process in processes] == [3, 3]
    for rank in (0, 1):
        last = (tmp_path / f"said{rank}.txt").read_text().splitlines()[-1]
        assert last.startswith(f"error: {when}: {what}"), rank
    report = json.loads((tmp_path / "run" / "not-finite.json").read_text())
    assert report["said"] in last
    assert report["weights"] == []
    assert report["gradients"] == (["F.layers.1.weight"] if fault == "gradient" else [])
    figure("P3", f"NaN in a {fault} of one of two processes: both end with exit 3, {when}")
