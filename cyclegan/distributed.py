"""Training by several processes as by one: torchrun starts them; each takes an equal share of every batch.

  torchrun --nproc-per-node 2 -m cyclegan train experiments/cyclegan/photo2monet.yaml --set data.batch_size=2

The same settings and seed give the same training on any number of processes, except for rounding:
`data.batch_size` is the size of the whole batch, gradients are averaged over all processes, every process
makes the same exchange of past fakes for the whole batch, and only the first process writes files. Without
torchrun there is one process, and this module has no effect.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module

import torch
import torch.distributed as dist
from torch import Tensor

from cyclegan.errors import UnresponsiveError, UserError

MINUTES = 30  # of waiting for the others: the first also validates the run and saves it
_groups = itertools.count()  # numbers of the groups that this process joins, one after the other


def rank() -> int:
    """Return the number of this process; process 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Context that connects the processes started by torchrun; it gives the device of this one."""
    number, count = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    if count == 1:
        yield device
        return
    if device.type == "cuda":
        device = _own_gpu(int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # If imported later, its functions would hold the group as a default argument and keep its threads alive. Such
    # a thread sometimes needs the interpreter after it has ended, and a finished training ends in SIGABRT.
    import_module("torch.distributed.nn")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=_store(), rank=number, world_size=count, timeout=_patience())
    try:
        yield device
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo/transport" not in str(error):
            raise
        raise UnresponsiveError(
            f"another process has ended, or has been silent for {_patience().total_seconds():g} s "
            "(CYCLEGAN_TIMEOUT); the same command continues from the last checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()


def _own_gpu(number: int) -> torch.device:
    """Return the GPU of this process; each process of this machine has one of its own."""
    if number >= torch.cuda.device_count():
        raise UserError(
            f"training.device: {torch.cuda.device_count()} CUDA devices here; start as many processes, or set it to cpu"
        )
    return torch.device("cuda", number)


def _patience() -> timedelta:
    """Return the time that processes wait for each other; CYCLEGAN_TIMEOUT is in seconds."""
    return timedelta(seconds=float(os.environ.get("CYCLEGAN_TIMEOUT", 60 * MINUTES)))


def _store() -> dist.Store:
    """Return the store for the addresses of the processes; those of ended groups are still in it."""
    store, _, _ = next(dist.rendezvous("env://", timeout=_patience()))
    return dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}, group {next(_groups)}", store)


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the body of this context in the first process, then in all others."""
    if rank() > 0:
        dist.barrier()
    yield
    if rank() == 0 and world_size() > 1:
        dist.barrier()


def shard(count: int) -> slice:
    """Return the slice of a whole batch that holds the images of this process."""
    if count % world_size():
        raise UserError(
            f"data.batch_size: {count} cannot be shared out among {world_size()} processes; give a multiple of it"
        )
    own = count // world_size()
    return slice(rank() * own, (rank() + 1) * own)


def micro_batch_indices(count: int, parts: int) -> list[int]:
    """Return the indices of this process's images in a batch of several parts: its share of each part."""
    part = micro_batch_size(len(range(count)[shard(count)]), parts) * world_size()
    return [first + number for first in range(0, count, part) for number in range(part)[shard(part)]]


def micro_batch_size(own: int, parts: int) -> int:
    """Return the number of images of one process in each of `parts` parts of a batch."""
    if own % parts:
        each, whole = (f" for each of {world_size()} processes", own) if world_size() > 1 else ("", "data.batch_size")
        raise UserError(
            f"training.accumulate: {own} images{each} do not make {parts} equal parts; give a divisor of {whole}"
        )
    return own // parts


def rand(count: int, each: int) -> Tensor:
    """Draw (count, each) numbers in [0, 1) for this process: its share of those for the whole batch."""
    whole = count * world_size()
    return torch.rand(whole, each)[shard(whole)]


def all_gather(images: Tensor) -> Tensor:
    """Gather the whole batch, in order, from the shares of all processes."""
    if world_size() == 1:
        return images
    shares = [torch.empty_like(images) for _ in range(world_size())]
    dist.all_gather(shares, images.contiguous())
    return torch.cat(shares)


def all_reduce_mean_(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their means over all processes."""
    if world_size() == 1:
        return
    mine = list(tensors)
    flat = torch.cat([tensor.detach().flatten() for tensor in mine])
    dist.all_reduce(flat)
    flat /= world_size()
    for tensor, mean in zip(mine, flat.split([tensor.numel() for tensor in mine]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def all_reduce_mean(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the means of named numbers over all processes, without gradients."""
    means = {name: loss.detach().clone() for name, loss in losses.items()}
    all_reduce_mean_(means.values())
    return means


def all_reduce_max(number: int, device: torch.device) -> int:
    """Return the largest of the numbers that the processes have."""
    if world_size() == 1:
        return number
    found = torch.tensor(number, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def require_same_step(step: int, device: torch.device) -> None:
    """Raise UserError unless all processes continue after the same step.

    Gradients at different weights have no meaningful mean.
    """
    first, last = -all_reduce_max(-step, device), all_reduce_max(step, device)
    if first != last:
        raise UserError(
            f"runs: one process found the checkpoint of step {last} and another that of step {first}; "
            "start them in a folder that all of them share"
        )
