"""Fingerprint of the training images: a part of checkpoints, so that no run is continued with others by mistake.

Told by    relative name and size, of every training picture of each side. The contents are not read, which would take
           as long as a pass over the data: a picture that is replaced by one of the same name and size is not noticed.
Relative   to the folder that holds all of a side, so that data may be moved: a run whose settings name other folders
           than before is continued if these hold the same pictures.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from cyclegan.errors import UserError


class Fingerprint:
    """Files of each image field, as they are now; restored from a checkpoint, they must be the same."""

    def __init__(self, fields: Mapping[str, tuple[str, Sequence[Path]]]) -> None:
        """`fields`: image field -> (what users call it, its files)."""
        self.names = {field: name for field, (name, _) in fields.items()}
        self.told = {field: _told(paths) for field, (_, paths) in fields.items()}
        self.moved = ""

    def note_moved(self, settings: Sequence[str]) -> None:
        """Take down which settings name another folder than before.

        A checkpoint without a fingerprint, as older versions wrote, is continued only where nothing has moved.
        """
        self.moved = f" ({', '.join(settings)})" if settings else ""

    def state_dict(self) -> dict[str, Any]:
        """Of each side a SHA-256 over all of its pictures, and 64 bits of each to count those that come and go."""
        return {side: {"sha256": sha256_of(told), "pictures": digests(told)} for side, told in self.told.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raise UserError unless they are those of the run."""
        if not state:
            return self._require_unmoved()
        for side, told in self.told.items():
            if state[side]["sha256"] == sha256_of(told):
                continue
            then, now = set(state[side]["pictures"].tolist()), set(digests(told).tolist())
            raise UserError(
                f"{self.names[side]}: holds other pictures than this run has learned from: {len(now - then):,} came "
                f"and {len(then - now):,} went, by name and size{self.moved}; bring the old ones back, or give the "
                "run a name of its own (--set name=…)"
            )

    def _require_unmoved(self) -> None:
        if self.moved:
            raise UserError(
                f"data: a checkpoint this old does not tell its pictures, and they may be others now{self.moved}; "
                "continue with the old folders, or give the run a name of its own (--set name=…)"
            )


def sha256_of(told: Sequence[str]) -> str:
    """Of all pictures of a side."""
    return hashlib.sha256("\0".join(told).encode(errors="surrogateescape")).hexdigest()


def digests(told: Sequence[str]) -> Int64[Tensor, " pictures"]:
    """The first 64 bits of the SHA-256 of each picture of a side."""
    each = (hashlib.sha256(one.encode(errors="surrogateescape")).digest()[:8] for one in told)
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in each], dtype=torch.int64)


def _told(paths: Sequence[Path]) -> list[str]:
    """Size and relative name of each, in an order that does not depend on how they were found."""
    root = os.path.commonpath([path.parent for path in paths])
    return sorted(f"{path.stat().st_size} {path.relative_to(root).as_posix()}" for path in paths)
