"""Estimate of the memory that a generator needs for an image, and of the memory that is free.

Both are compared before the work starts: Linux grants more memory than it has and later kills the process
that uses it, without an exception that could be caught.

Needed     Counted once per network, on a small image: the bytes of all tensors that exist at the same time;
           for each convolution the bytes of its input and output once more, because its kernels rearrange
           them; and a margin of a quarter for the rest, which is unknown.
Free       On the CPU the smaller of two numbers: what /proc/meminfo calls available, and what is left up to
           the limit of a control group. Containers and SLURM jobs run in control groups and are killed at
           the limit. The group of the process and those around it are read, in version 2 and version 1, and
           the one with the least memory left counts; cached files that the system can drop are not counted
           as used. On CUDA what the driver has left, plus what PyTorch has reserved but does not use. None
           on other devices.
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
SMALL = 128  # px of the image used for counting: at this size borders add a twelfth
MARGIN = 1.25

_counted: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()  # bytes a pixel


def needed(translator: NetworkTranslator | TiledTranslator, images: AnyImages) -> int:
    """Return the approximate number of bytes that a translation needs."""
    channels = images.shape[1]
    if isinstance(translator, TiledTranslator):
        height, width = (min(translator.seen, side) for side in images.shape[2:])
        at_once = 2 * images.nbytes if images.device == translator.whole.device else 0  # padded, and translated
        return int(_per_pixel(translator.whole, channels) * height * width) + at_once
    return int(_per_pixel(translator, channels) * images[:, 0].numel())


def free(device: torch.device) -> int | None:
    """Return the number of bytes that can still be used; None if it is unknown."""
    if device.type == "cuda":
        held_back = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held_back
    if device.type != "cpu":
        return None
    available = re.findall(r"^MemAvailable:\s+(\d+) kB$", _text("proc/meminfo"), re.MULTILINE)
    return min([*(int(kilobytes) * 1024 for kilobytes in available), *_left_in_groups()], default=None)


def _left_in_groups() -> Iterator[int]:
    """Yield the number of bytes left up to the limit of each control group that this process is in."""
    for line in _text("proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in LIMIT_AND_USE:
            place, limit, use = LIMIT_AND_USE[controllers]
            groups = [part for part in path.split("/") if part]
            for depth in range(len(groups) + 1):  # the enclosing groups, then its own
                folder = "/".join([place, *groups[:depth]])
                with suppress(ValueError):  # no limit, or no such group here
                    cached = re.findall(r"inactive_file (\d+)$", _text(f"{folder}/memory.stat"), re.MULTILINE)
                    in_use = int(_text(f"{folder}/{use}")) - max(map(int, cached), default=0)
                    yield max(0, int(_text(f"{folder}/{limit}")) - in_use)


def _text(path: str) -> str:
    """Return the content of a system file; an empty string if there is none."""
    with suppress(OSError):
        return (ROOT / path).read_text(encoding="utf-8", errors="replace")
    return ""


def _per_pixel(translator: NetworkTranslator, channels: int) -> float:
    network = translator.network
    if network not in _counted:
        side = int(translator.padded(SMALL))
        picture = torch.zeros(1, channels, side, side, device=translator.device)
        with torch.no_grad(), evaluating(network), _Alive() as alive:
            network.forward(picture)  # not __call__, which may be compiled for other sizes
        _counted[network] = MARGIN * alive.most / side**2
    return _counted[network]


class _Alive(TorchDispatchMode):
    """Counter of the bytes of all tensors that exist at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()  # addresses of storages

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
