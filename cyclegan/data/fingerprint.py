"""Fingerprint of the training images, stored in checkpoints so that no run is continued with other images.

Content    relative name and size of every training image of each side. The pixels are not read, which would
           take as long as a pass over the data: an image replaced by another of the same name and size is
           not noticed.
Relative   to the folder that holds all images of a side, so that data may be moved: a run whose settings
           name other folders than before is continued if these hold the same images.
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
    """Fingerprint of the present files of each image field; one loaded from a checkpoint must be equal."""

    def __init__(self, fields: Mapping[str, tuple[str, Sequence[Path]]]) -> None:
        """Describe the files of each image field.

        fields  image field -> (the user's name for it, its files)
        """
        self.names = {field: name for field, (name, _) in fields.items()}
        self.told = {field: _told(paths) for field, (_, paths) in fields.items()}
        self.moved = ""

    def note_moved(self, settings: Sequence[str]) -> None:
        """Record which settings name another folder than before.

        A checkpoint without a fingerprint, as written by older versions, is continued only if no folder has
        moved.
        """
        self.moved = f" ({', '.join(settings)})" if settings else ""

    def state_dict(self) -> dict[str, Any]:
        """Return, for each side, a SHA-256 over all of its images, and 64 bits for each image.

        The 64 bits serve to count images that were added or removed.
        """
        return {side: {"sha256": sha256_of(told), "pictures": digests(told)} for side, told in self.told.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raise UserError unless the files are those of the run."""
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
    """Compute the SHA-256 over all images of a side."""
    return hashlib.sha256("\0".join(told).encode(errors="surrogateescape")).hexdigest()


def digests(told: Sequence[str]) -> Int64[Tensor, " pictures"]:
    """Return the first 64 bits of the SHA-256 of each image of a side."""
    each = (hashlib.sha256(one.encode(errors="surrogateescape")).digest()[:8] for one in told)
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in each], dtype=torch.int64)


def _told(paths: Sequence[Path]) -> list[str]:
    """Return size and relative name of each file, sorted, so that the order of discovery has no effect."""
    root = os.path.commonpath([path.parent for path in paths])
    return sorted(f"{path.stat().st_size} {path.relative_to(root).as_posix()}" for path in paths)
