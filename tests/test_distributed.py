"""Two processes train as one: the same gradients, the same run, one writer; and a lone process knows nothing of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from folders import two_sides
from watching import wait_until

from cyclegan import distributed
from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.training.checkpoint import read_tensors

TIMEOUT = 240  # seconds
SMOKE = Path(__file__).resolve().parents[1] / "experiments" / "smoke"
CONFIG = """
name: {name}
method:
  name: cyclegan
  generator: {{base_channels: 4, blocks: 1}}
  discriminator: {{base_channels: 4, layers: 2}}
  buffer_size: 6
  lambda_r1: 0.1
  r1_every: 2
data: {{x: summer, y: winter, load_size: null, crop_size: 32, batch_size: 4, validation: 0.2}}
training: {{steps: 8, log_every: 1, sample_every: 4, save_every: 4, device: cpu}}
"""
STEP = """
import sys
import torch
from cyclegan import distributed
from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

with distributed.process_group(torch.device("cpu")):
    small = CycleGANConfig(
        generator=GeneratorConfig(base_channels=4, blocks=1),
        discriminator=DiscriminatorConfig(base_channels=4, layers=2),
    )
    method = small.build(DataSpec())
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    losses = method.training_step(UnpairedBatch(*torch.rand(2, 2, 3, 32, 32)), optimizers.minimize)
    distributed.all_reduce_mean(losses)
"""


def command(processes: int, *arguments: str) -> list[str]:
    """Of torchrun, on this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [*torchrun, *arguments]


def surroundings() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(distributed.__file__).parents[1])}


def launch(processes: int, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    options = dict(cwd=cwd, env=surroundings(), timeout=TIMEOUT, capture_output=True, text=True)
    return subprocess.run(command(processes, *arguments), **options)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    two_sides(tmp_path, 24, size=36)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list threads")
def test_no_thread_of_the_group_outlives_it_as_it_would_abort_the_process_at_its_end(tmp_path):
    threads = "import os; open(sys.argv[1] + os.environ['RANK'], 'w').write(str(len(os.listdir('/proc/self/task'))))"
    (tmp_path / "threads.py").write_text(STEP + threads)
    done = launch(2, "threads.py", "threads", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"threads{rank}").read_text() for rank in (0, 1)] == ["1", "1"]


def test_two_processes_make_the_run_of_one_and_only_the_first_writes(place):
    (place / "one.yaml").write_text(CONFIG.format(name="one"))
    (place / "two.yaml").write_text(CONFIG.format(name="two"))
    assert main(["train", "one.yaml"]) == 0
    done = launch(2, "-m", "cyclegan", "train", "two.yaml", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "processes 2, which share every batch of 4" in done.stdout
    assert re.search(r"^device    CPU with 1 threads?, (float32|bfloat16)$", done.stdout, re.MULTILINE)
    assert re.search(r"^networks  G [\d,]+, F [\d,]+ parameters$", done.stdout, re.MULTILINE)
    assert done.stdout.count("\ntraining  8 of 8 steps of (4, 3, 32, 32) + (4, 3, 32, 32)\n") == 1
    assert done.stdout.count("step 8/8") == 1
    assert (
        len(
            re.findall(
                r"^needs     about [\d.]+ \w+, [\d,]+ MB of memory, [\d,]+ MB of disk$", done.stdout, re.MULTILINE
            )
        )
        == 1
    )
    one, two = (place / "runs" / "summer2winter" / name for name in ("one", "two"))
    assert {path.name for path in two.iterdir()} >= {
        "config.yaml",
        "log.jsonl",
        "samples",
        "checkpoints",
        "best.safetensors",
    }

    logs = [[json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()] for run in (one, two)]
    assert len(logs[0]) == len(logs[1]) == 8
    assert logs[1][0] == pytest.approx(logs[0][0], rel=1e-5)
    assert logs[1][-1] == pytest.approx(logs[0][-1], rel=1e-2)  # rounding has grown through Adam's first steps
    states = [read_tensors(run / "checkpoints" / "step-00000008" / "state.safetensors")[0] for run in (one, two)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert tensor.shape == states[1][name].shape, name


def losses_of_one_and_of_two_processes(place: Path, file: Path, *settings: str) -> list[dict[str, float]]:
    """Of the first step."""
    overrides = ["training.steps=1", "training.log_every=1", "training.device=cpu", *settings]
    arguments = ["train", str(file), *(f"--set={each}" for each in overrides)]
    assert main([*arguments, "--set=name=one"]) == 0
    done = launch(2, "-m", "cyclegan", *arguments, "--set=name=two", cwd=place)
    assert done.returncode == 0, done.stderr
    logs = [place / "runs" / "summer2winter" / name / "log.jsonl" for name in ("one", "two")]
    return [json.loads(log.read_text())["loss"] for log in logs]


@pytest.mark.slow
def test_two_processes_compare_the_patches_of_cut_at_the_places_of_one(place):
    settings = ["data.domain=null", "data.x=summer", "data.y=winter", "data.batch_size=4"]
    one, two = losses_of_one_and_of_two_processes(place, SMOKE / "cut.yaml", *settings)
    assert two == pytest.approx(one, rel=1e-5)
    assert two["nce_x"] > 0


@pytest.mark.slow
def test_two_processes_train_on_parts_of_a_batch_as_one_does(place):
    (place / "it.yaml").write_text(CONFIG.format(name="it"))
    settings = ["training.accumulate=2", "method.augment=[translation, cutout]"]
    one, two = losses_of_one_and_of_two_processes(place, place / "it.yaml", *settings)
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
def test_processes_that_find_different_checkpoints_are_refused(place, monkeypatch):
    for rank in ("0", "1"):
        shutil.copytree(place / "summer", place / rank / "summer")
        shutil.copytree(place / "winter", place / rank / "winter")
        (place / rank / "it.yaml").write_text(CONFIG.format(name="it"))
    monkeypatch.chdir(place / "1")
    assert main(["train", "it.yaml", "--set", "training.steps=4"]) == 0
    script = "import os, sys; from cyclegan.cli import main; os.chdir(os.environ['RANK'])"
    (place / "apart.py").write_text(f"{script}; sys.exit(main(['train', 'it.yaml']))")
    done = launch(2, "apart.py", cwd=place)
    assert done.returncode != 0
    assert "one process found the checkpoint of step 4 and another that of step 0; start them in a" in done.stderr


@pytest.mark.slow
def test_a_run_continues_on_another_number_of_processes(place):
    (place / "it.yaml").write_text(CONFIG.format(name="it"))
    assert main(["train", "it.yaml", "--set", "training.steps=8"]) == 0
    log = place / "runs" / "summer2winter" / "it" / "log.jsonl"
    newest = log.parent / "checkpoints" / "step-00000008"
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()  # as if it had been cut off after step 4
    done = launch(2, "-m", "cyclegan", "train", "it.yaml", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "continuing after step 4" in done.stdout
    assert len(log.read_text().splitlines()) == 8


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_max_restarts_continues(place):
    (place / "it.yaml").write_text(CONFIG.format(name="it"))
    checkpoints = place / "runs" / "summer2winter" / "it" / "checkpoints"
    overrides = [
        f"--set=training.{setting}"
        for setting in ("steps=60", "save_every=5", "sample_every=60", "keep_checkpoints=20")
    ]
    arguments = ["--max-restarts", "1", "-m", "cyclegan", "train", "it.yaml", *overrides]
    with (place / "said.txt").open("w") as said:
        torchrun = subprocess.Popen(
            command(2, *arguments), cwd=place, env=surroundings(), stdout=said, stderr=said, start_new_session=True
        )
        try:
            tenth = checkpoints / "step-00000010"
            wait_until(tenth.exists, torchrun, (place / "said.txt").read_text, TIMEOUT, between=0.02)
            children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)
            assert torchrun.wait(TIMEOUT) == 0, (place / "said.txt").read_text()
        finally:
            if torchrun.poll() is None:
                os.killpg(torchrun.pid, signal.SIGKILL)
    assert (place / "said.txt").read_text().count("continuing after step") == 1
    log = (checkpoints.parent / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == list(range(1, 61))


def test_a_batch_that_cannot_be_shared_out_is_refused(place):
    (place / "it.yaml").write_text(CONFIG.format(name="it"))
    done = launch(2, "-m", "cyclegan", "train", "it.yaml", "--set", "data.batch_size=3", cwd=place)
    assert done.returncode != 0
    assert "data.batch_size: 3 cannot be shared out among 2 processes; give a multiple of it" in done.stderr


@pytest.mark.slow
def test_of_two_folders_the_first_chooses_a_recipe_and_both_train_by_it(place):
    small = ["data.load_size=36", "data.crop_size=32", "data.batch_size=2", "training.steps=2", "training.device=cpu"]
    small += ["method.generator.base_channels=4", "method.generator.blocks=1", "method.discriminator.base_channels=4"]
    folders = ["train", "--x", "summer", "--y", "winter"]
    done = launch(2, "-m", "cyclegan", *folders, *(f"--set={each}" for each in small), cwd=place)
    assert done.returncode == 0, done.stderr
    for once in ("pictures can be read", "saved as runs/summer2winter/recipe.yaml", "translate with", "step 2/2"):
        assert done.stdout.count(once) == 1, once
    assert "processes 2, which share every batch of 2" in done.stdout


def test_what_is_wrong_with_a_folder_is_said_by_the_first(place):
    done = launch(2, "-m", "cyclegan", "train", "--x", "summer", "--y", "nowhere", cwd=place)
    assert done.returncode != 0
    assert done.stderr.count("error: nowhere: no such folder") == 1
    assert "experiment.py" not in done.stderr  # a traceback; torchrun prints its own


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")], ids=["CPU", "GPU"])
@pytest.mark.parametrize("rank", [0, 1])
def test_any_process_without_memory_says_so(place, monkeypatch, capsys, rank, error):
    def fail(*_: object) -> None:
        raise error

    (place / "it.yaml").write_text(CONFIG.format(name="it"))
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr("cyclegan.methods.cyclegan.CycleGANConfig.build", fail)
    assert main(["train", "it.yaml"]) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(
        "error: it.yaml: a step needs more memory than there is; set training.activation_checkpointing to true"
    )


def test_a_lone_process_shares_nothing():
    tensors = [torch.ones(2), torch.zeros(3)]
    distributed.all_reduce_mean_(tensors)
    assert (distributed.rank(), distributed.world_size(), distributed.shard(3)) == (0, 1, slice(0, 3))
    assert distributed.all_gather(tensors[0]) is tensors[0]
    assert distributed.all_reduce_max(15, torch.device("cpu")) == 15
    with distributed.process_group(torch.device("cpu")) as device, distributed.main_process_first():
        assert device == torch.device("cpu")
    assert [tensor.sum().item() for tensor in tensors] == [2, 0]


def test_more_processes_than_gpus_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed._own_gpu(1) == torch.device("cuda", 1)
    with pytest.raises(UserError, match=r"^training\.device: 2 CUDA devices here; start as many processes"):
        distributed._own_gpu(2)
