"""How much memory a generator needs for a picture, and how much is free: asked first, as Linux lends more than it has
and then kills whoever uses it, without a word that could be caught.

Needed     Counted, once a network, with a small picture: the tensors that are there at once, and with each convolution
           what it reads and writes a second time, for its kernels rearrange it; a quarter more, as the rest is unknown.
Free       On the CPU what /proc/meminfo calls available, or what is left of the limit of a control group, in which
           containers and jobs of SLURM run and at which they are killed: the least of its own and those around it, of
           version 2 and 1, without files in memory that the system can give back. On CUDA what the driver has left and
           PyTorch holds back; None elsewhere.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cyclegan.methods.translator import NetworkTranslator, evaluating
from cyclegan.protocols import AnyImages
from cyclegan.translate.tiles import TiledTranslator

ROOT = Path("/")
LIMIT_AND_USE = {  # files of a control group, by what /proc/self/cgroup calls its controllers
    "": ("sys/fs/cgroup", "memory.max", "memory.current"),  # version 2
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
}
SMALL = 128  # px of the picture that is counted with: at this size borders add a twelfth
MARGIN = 1.25

_counted: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()  # bytes a pixel


def needed(translator: NetworkTranslator | TiledTranslator, images: AnyImages) -> int:
    """Bytes for a translation, about."""
    channels = images.shape[1]
    if isinstance(translator, TiledTranslator):
        height, width = (min(translator.seen, side) for side in images.shape[2:])
        at_once = 2 * images.nbytes if images.device == translator.whole.device else 0  # padded, and translated
        return int(_per_pixel(translator.whole, channels) * height * width) + at_once
    return int(_per_pixel(translator, channels) * images[:, 0].numel())


def free(device: torch.device) -> int | None:
    """Bytes that can still be used; None if nobody knows."""
    if device.type == "cuda":
        held_back = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held_back
    if device.type != "cpu":
        return None
    available = re.findall(r"^MemAvailable:\s+(\d+) kB$", _text("proc/meminfo"), re.MULTILINE)
    return min([*(int(kilobytes) * 1024 for kilobytes in available), *_left_in_groups()], default=None)


def _left_in_groups() -> Iterator[int]:
    """Bytes to the limit of each control group that this process is in."""
    for line in _text("proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in LIMIT_AND_USE:
            place, limit, use = LIMIT_AND_USE[controllers]
            groups = [part for part in path.split("/") if part]
            for depth in range(len(groups) + 1):  # those around it, and its own
                folder = "/".join([place, *groups[:depth]])
                with suppress(ValueError):  # no limit, or no such group here
                    cached = re.findall(r"inactive_file (\d+)$", _text(f"{folder}/memory.stat"), re.MULTILINE)
                    in_use = int(_text(f"{folder}/{use}")) - max(map(int, cached), default=0)
                    yield max(0, int(_text(f"{folder}/{limit}")) - in_use)


def _text(path: str) -> str:
    """Of a file of the system; empty where it has none."""
    with suppress(OSError):
        return (ROOT / path).read_text(encoding="utf-8", errors="replace")
    return ""


def _per_pixel(translator: NetworkTranslator, channels: int) -> float:
    network = translator.network
    if network not in _counted:
        side = int(translator.padded(SMALL))
        picture = torch.zeros(1, channels, side, side, device=translator.device)
        with torch.no_grad(), evaluating(network), _Alive() as alive:
            network.forward(picture)  # not its call, which may be compiled for other sizes
        _counted[network] = MARGIN * alive.most / side**2
    return _counted[network]


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are made and not freed yet."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()  # storages, by where they are

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **kwargs or {})
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self._enter(tensor.untyped_storage())
        rearranged = args[0].nbytes + made.nbytes if function is torch.ops.aten.convolution.default else 0
        self.most = max(self.most, self.now + rearranged)
        return made

    def _enter(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            finalize(storage, self._leave, storage._cdata, storage.nbytes())

    def _leave(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.now -= size
