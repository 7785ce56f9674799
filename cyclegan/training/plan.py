"""What a training will take, found out before it starts: one rehearsed step on a copy that is thrown away."""

import copy
import time
from typing import Any

import torch

from cyclegan.precision import autocast, choose_precision
from cyclegan.protocols import Losses, Trainable
from cyclegan.training.settings import TrainingConfig

PATIENCE = 24 * 3600  # seconds: a training predicted to take longer is called hopeless on this device


def rehearse(method: Trainable, batch: Any, precision: torch.dtype, device: torch.device) -> float:
    """Seconds of one training step, measured with a copy of the method on a real batch.

    Small steps are repeated for a second and the fastest counts; a large one runs once. It also shows, before
    anything is written, whether the batch fits into memory.
    """
    copied = copy.deepcopy(method)
    parameters = {player: list(owned) for player, owned in copied.players().items()}

    def differentiate(player: str, losses: Losses) -> None:
        sum(losses.values()).backward(inputs=parameters[player])  # type: ignore[union-attr]

    durations: list[float] = []
    warm_ups = 2 if device.type == "cuda" else 0  # the first steps choose kernels
    while len(durations) <= warm_ups or sum(durations) < 1:
        start = time.perf_counter()
        with autocast(precision, device):
            losses = copied.training_step(batch, differentiate)
        sum(losses.values()).item()  # type: ignore[union-attr]  # waits for the device
        durations.append(time.perf_counter() - start)
    return min(durations)


def describe(
    method: Trainable, batch: Any, config: TrainingConfig, device: torch.device, *, done: int, buffered: int
) -> list[str]:
    """What will happen, line by line; with a warning where it would take days."""
    precision = choose_precision(config.precision, device)
    seconds = rehearse(method, batch, precision, device) * (config.steps - done)
    disk = (config.keep + 1) * checkpoint_bytes(method, batch, buffered) / 1e6
    sizes = " + ".join(str(tuple(tensor.shape)) for tensor in batch)
    networks = ", ".join(f"{name} {_count(net):,}" for name, net in method.networks().items())
    lines = [
        f"device    {device_name(device)}, {str(precision).removeprefix('torch.')}",
        f"networks  {networks} parameters",
        f"training  {config.steps - done:,} of {config.steps:,} steps of {sizes}",
        f"needs     about {duration(seconds)} and {disk:,.0f} MB of disk",
    ]
    if seconds > PATIENCE:
        lines.append(
            f"warning: {duration(seconds)} is more than this device is good for; run this recipe on a GPU, "
            "or start with `make train`, whose domain photo2painting learns in minutes on a CPU"
        )
    return lines


def checkpoint_bytes(method: Trainable, batch: Any, buffered: int) -> int:
    """About what one checkpoint weighs: weights, two moments of Adam, the average twice, and the buffered images."""
    weights = sum(p.numel() for owned in method.players().values() for p in owned)
    kept = sum(_count(network) for network in method.networks().values())
    images = sum(tensor[0].numel() for tensor in batch) * buffered
    return 4 * (3 * weights + 2 * kept + images)


def device_name(device: torch.device) -> str:
    """`CPU with 2 threads`, or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU with {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def duration(seconds: float) -> str:
    """90 → `1.5 min`."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
