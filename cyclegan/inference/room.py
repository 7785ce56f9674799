"""How much memory a generator needs for a picture, and how much is free: asked first, as Linux lends more than it has
and then kills whoever uses it, without a word that could be caught.

Needed     Counted, once a network, with a small picture: the tensors that are there at once, and with each convolution
           what it reads and writes a second time, for its kernels rearrange it; a quarter more, as the rest is unknown.
Free       On the CPU what /proc/meminfo calls available, on CUDA what the driver has left and PyTorch holds back; None
           elsewhere. Limits of containers are not looked at.
"""

import re
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cyclegan.inference.tiles import TiledTranslator
from cyclegan.methods.bind import NetworkTranslator, evaluating
from cyclegan.protocols import AnyImages

MEMORY = Path("/proc/meminfo")
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
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", MEMORY.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found and device.type == "cpu" else None


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
