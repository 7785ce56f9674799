"""Description and forecast of a training before it starts, from steps of a copy that is then discarded."""

import copy
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cyclegan import distributed
from cyclegan.data.buffer import ImageBuffer
from cyclegan.device import autocast, choose_precision
from cyclegan.errors import ResourceError
from cyclegan.protocols import Losses, Trainable
from cyclegan.training.micro_batches import checkpoint_activations, in_micro_batches
from cyclegan.training.training_config import TrainingConfig

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PATIENCE = 24 * 3600  # seconds: a longer forecast gives a warning, except on CUDA

DESCRIBED = 180  # bytes of a checkpoint that tell name, type and place of a tensor


class StepCost(NamedTuple):
    """Cost of one training step."""

    seconds: float
    flops: int  # of convolutions and matrix products, forward and backward; a multiplication and an addition are two
    kept: int  # bytes of activations that are kept for the gradient, where there are most of them


class _Kept:
    """Activations that autograd keeps, each counted once, without weights and input images."""

    def __init__(self, method: Trainable, batch: Any) -> None:
        assert isinstance(method, torch.nn.Module)
        self.most = 0
        self.others = {tensor.untyped_storage().data_ptr() for tensor in (*method.parameters(), *batch)}
        self.now: dict[int, int] = {}

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.others:
            self.now[storage.data_ptr()] = storage.nbytes()
        return tensor

    def free(self) -> None:
        """Update the maximum and clear the count, after a gradient has been computed."""
        self.most = max(self.most, sum(self.now.values()))
        self.now.clear()


class _Flops(TorchDispatchMode):
    """Sum of the operation costs that PyTorch knows. (Its own counter fails on a gradient of a gradient.)"""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **kwargs or {})
        cost = flop_registry.get(function.overloadpacket)
        if cost is not None:
            self.total += cost(*args, **kwargs or {}, out_val=found)
        return found


def profile_step(method: Trainable, batch: Any, config: TrainingConfig, device: torch.device) -> StepCost:
    """Measure the cost of a training step, with a copy of the method on a real batch.

    The first step is only counted. Small steps are then repeated for a second, and the fastest counts. A
    large step runs once. With several processes the step also runs once, because they exchange images in it
    and must all run equally many. The rehearsal also shows, before anything is written, whether the batch
    fits into memory. Nothing is compiled for it.
    """
    copied = copy.deepcopy(method)
    checkpoint_activations(copied, config.activation_checkpointing)
    parameters = {group: list(owned) for group, owned in copied.parameter_groups().items()}
    precision = choose_precision(config.precision, device)
    kept = _Kept(copied, batch)

    def differentiate(group: str, losses: Losses) -> None:
        sum(losses.values()).backward(inputs=parameters[group])  # type: ignore[union-attr]
        kept.free()

    training_step = in_micro_batches(copied, config.accumulate, config.cuda_graphs)

    def step() -> float:
        start = time.perf_counter()
        with autocast(precision, device):
            losses = training_step(batch, differentiate)
        sum(losses.values()).item()  # type: ignore[union-attr]  # waits for the device
        return time.perf_counter() - start

    with _Flops() as flops, saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        step()
    durations: list[float] = []
    warm_ups = 1 if device.type == "cuda" else 0  # the first steps choose kernels
    while len(durations) <= warm_ups or (sum(durations) < 1 and distributed.world_size() == 1):
        durations.append(step())
    return StepCost(min(durations), flops.total, kept.most)


def describe(
    method: Trainable, batch: Any, config: TrainingConfig, device: torch.device, *, done: int = 0
) -> list[str]:
    """Describe the training, line by line: the device, the precision, the networks and the batches."""
    precision = str(choose_precision(config.precision, device)).removeprefix("torch.")
    networks = ", ".join(f"{name} {_count(net):,}" for name, net in method.networks().items())
    sizes = " + ".join(str((distributed.world_size() * len(field), *field.shape[1:])) for field in batch)
    return [
        f"device    {device_name(device)}, {precision}",
        f"networks  {networks} parameters",
        f"training  {config.steps - done:,} of {config.steps:,} steps of {sizes}",
    ]


def forecast(
    method: Trainable, batch: Any, config: TrainingConfig, device: torch.device, *, done: int = 0
) -> list[str]:
    """Forecast time, memory and disk from a rehearsal, line by line.

    A warning is added where training would take days.
    """
    before = memory_in_use(device)
    found = profile_step(method, batch, config, device)
    seconds = found.seconds * (config.steps - done)
    disk = (config.keep_checkpoints + 1) * checkpoint_bytes(method, batch) / 1e6
    memory = "" if before is None else f"{(before + found.kept + state_bytes(method)) / 1e6:,.0f} MB of memory, "
    speed = f"{found.flops / found.seconds / 1e9:,.0f} GFLOP/s{', not compiled' * config.compile}"
    lines = [
        f"a step    {found.flops / 1e9:,.1f} GFLOP, {found.seconds:.3g} s ({speed})",
        f"needs     about {duration(seconds)}, {memory}{disk:,.0f} MB of disk",
    ]
    if seconds > PATIENCE and device.type != "cuda":
        lines.append(
            f"warning: {duration(seconds)} is more than this device is good for; run this recipe on a GPU, "
            "or start with `make train`, whose domain photo2painting learns in minutes on a CPU"
        )
    return lines


def memory_in_use(device: torch.device) -> int | None:
    """Peak memory of this process so far, in bytes: on the GPU, else in main memory; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def state_bytes(method: Trainable) -> int:
    """Bytes needed besides the weights: gradients, two moments of Adam, the average and its copy in use."""
    learned = sum(parameter.numel() for owned in method.parameter_groups().values() for parameter in owned)
    return 4 * (3 * learned + 2 * sum(_count(network) for network in method.networks().values()))


def checkpoint_bytes(method: Trainable, batch: Any) -> int:
    """Approximate size of a checkpoint in bytes.

    The sum of weights, two moments of Adam, the average twice, and the buffered images.
    """
    learned = [p.numel() for owned in method.parameter_groups().values() for p in owned]
    kept = [p.numel() for network in method.networks().values() for p in network.parameters()]
    assert isinstance(method, torch.nn.Module)
    buffered = sum(module.size for module in method.modules() if isinstance(module, ImageBuffer))
    images = buffered * sum(field[0].numel() for field in batch) // len(batch)
    return 4 * (3 * sum(learned) + 2 * sum(kept) + images) + DESCRIBED * (3 * len(learned) + 2 * len(kept))


def require_room(folder: Path, needed: int) -> None:
    """Raise ResourceError unless `needed` bytes are free on the disk of a folder."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"{folder}: checkpoints need {needed / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free; make room first"
        )


def device_name(device: torch.device) -> str:
    """Name of the device: `CPU with 2 threads`, or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU with {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def duration(seconds: float) -> str:
    """Format seconds with a unit: 90 → `1.5 min`."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
