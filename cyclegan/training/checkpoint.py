"""Checkpoints: folders that are either complete or absent, describe themselves and lose no state.

Folder     step-00001000/ holds state.safetensors (everything a resumed run needs), release.safetensors (the
           averaged networks with a description in the metadata, all that translation needs) and manifest.json
           (bytes and SHA-256 of both). A release is also handed on alone, and so carries its own SHA-256.
Commit     A checkpoint is written to step-00001000.partial; each file is flushed to the disk, the manifest
           last; then the folder is renamed. An older checkpoint is removed only after that. A killed run
           leaves the previous checkpoint as it was.
Reading    The newest folder whose manifest verifies is read; a damaged one is named and skipped. Tensors are
           read by safetensors, the rest is JSON: nothing in a checkpoint can execute.
"""

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cyclegan import distributed
from cyclegan.errors import NotFiniteError, ResourceError, UserError, out_of_memory_as
from cyclegan.training.atomic import PARTIAL, flush, flush_folder, patiently

MANIFEST_BYTES = 10_000  # many times the size of a manifest
ADDED_LATER = {"data"}  # parts that the checkpoints of older versions lack; these are given an empty state
MESSAGE = 200  # characters kept of an error of another library


class CorruptCheckpointError(UserError):
    """A checkpoint that differs from what was written; the message names the file and the damage."""


@runtime_checkable
class Part(Protocol):
    """Object with a state to save: a method, optimizers, averages, a counter."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as nested dictionaries and lists of tensors, numbers, strings and None."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Restore what state_dict returned."""
        ...


class Checkpoint:
    """Checkpoints of one run: `save` commits the state of all parts, `load_latest` restores it."""

    def __init__(self, folder: Path, keep: int, release: Mapping[str, Tensor], about: Mapping[str, Any], **parts: Part):
        self.folder = folder
        self.keep = keep
        self.release = release  # what translation needs
        self.about = about  # what a reader of the release needs to know
        self.parts = parts

    def save(self, step: int) -> Path:
        """Write and commit `folder`/step-XXXXXXXX, then remove the oldest."""
        final = self._path(step)
        partial = final.with_name(final.name + PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        tensors: dict[str, Tensor] = {}
        tree = _flatten({name: part.state_dict() for name, part in self.parts.items()}, (), tensors)
        try:
            partial.mkdir(parents=True)
            write_tensors(partial / "state.safetensors", tensors, {"tree": tree})
            write_release(partial / "release.safetensors", self.release, {**self.about, "step": step})
            manifest = {path.name: fingerprint(path) for path in sorted(partial.iterdir())}
            (partial / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            flush(partial / "manifest.json")
            flush_folder(partial)

            if final.exists():  # a damaged one of the same step, which the run has skipped
                shutil.rmtree(final)
            patiently(lambda: partial.rename(final))
            flush_folder(self.folder)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            needed = sum(tensor.nbytes for tensor in (*tensors.values(), *self.release.values())) / 1e6
            raise ResourceError(
                f"{final}: {needed:,.1f} MB cannot be written ({error}); make room and run the same command to continue"
            ) from error
        self._clean()
        self._prune(final)
        return final

    def save_if_missing(self, step: int) -> None:
        """Save the steps done so far, unless they are saved already; the first process writes."""
        if step and distributed.rank() == 0 and not self._path(step).exists():
            self.save(step)

    def load_latest(self) -> list[CorruptCheckpointError]:
        """Restore the newest checkpoint that verifies, if there is one; return the damage of those skipped.

        Raises CorruptCheckpointError if there are checkpoints and none is whole: starting anew would overwrite data
        that can perhaps be recovered.
        """
        newest, damages = newest_checkpoint(self.folder)
        if newest is None and damages:
            raise CorruptCheckpointError(
                f"{self.folder}: no checkpoint is whole; move the folder away to start anew ({damages[0]})"
            )
        if newest is not None:
            self._restore(newest)
        self._clean()
        return damages

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def _restore(self, checkpoint: Path) -> None:
        file = checkpoint / "state.safetensors"
        tensors, metadata = read_tensors(file)
        try:
            state = _unflatten(metadata["tree"], tensors)
            for name, part in self.parts.items():
                part.load_state_dict(state.get(name, {}) if name in ADDED_LATER else state[name])
        except (AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError) as error:
            raise CorruptCheckpointError(
                f"{file}: is whole but no state of this run ({_one_line(error)}); move the checkpoints away"
            ) from error

    def _prune(self, newest: Path) -> None:
        """Remove all but the newest checkpoints, and those of later steps, which were skipped as damaged."""
        every = list_checkpoints(self.folder)
        kept = [path for path in every if path <= newest][-self.keep :]
        for old in set(every) - set(kept):
            with suppress(PermissionError):  # Windows removes nothing that is being read; the next save tries again
                shutil.rmtree(old)

    def _clean(self) -> None:
        """Remove the folders that an interrupted save left behind."""
        for partial in self.folder.glob(f"step-*{PARTIAL}"):
            shutil.rmtree(partial)


def list_checkpoints(folder: Path) -> list[Path]:
    """List the committed checkpoints, oldest first, without verifying them."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir() and re.fullmatch(r"step-\d{8,}", path.name))


def newest_checkpoint(folder: Path) -> tuple[Path | None, list[CorruptCheckpointError]]:
    """Find the newest checkpoint that verifies, and return it with the damage of those skipped."""
    damages = []
    for path in reversed(list_checkpoints(folder)):
        try:
            verify(path)
        except CorruptCheckpointError as damage:
            damages.append(damage)
        else:
            return path, damages
    return None, damages


def verify(checkpoint: Path) -> None:
    """Raise CorruptCheckpointError unless every file of the manifest is there with its bytes and SHA-256."""
    manifest = checkpoint / "manifest.json"
    try:
        _require_file(manifest)
        with manifest.open("rb") as file:
            expected = json.loads(file.read(MANIFEST_BYTES))
        names = {"state.safetensors", "release.safetensors"}
        if not isinstance(expected, dict) or set(expected) != names:
            raise ValueError("it does not list the two files of a checkpoint")
        found = {name: fingerprint(checkpoint / name) for name in names}
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptCheckpointError(f"{manifest}: {_one_line(error)}; remove this checkpoint") from error
    for name in sorted(names):
        if found[name] != expected[name]:
            raise CorruptCheckpointError(f"{checkpoint / name}: not the bytes that were saved; remove this checkpoint")


def write_release(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write networks and their description to a file that can be handed on alone, with its own SHA-256."""
    write_tensors(path, tensors, {"about": {**about, "sha256": _digest(tensors, about)}})


def read_release(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], Any]:
    """Read a file that write_release wrote, and compare its SHA-256; older files carry none."""
    tensors, metadata = read_tensors(path, device)
    about = metadata.get("about")
    if isinstance(about, dict) and "sha256" in about and about.pop("sha256") != _digest(tensors, about):
        raise CorruptCheckpointError(f"{path}: not what was saved, by the sha256 it carries; take another copy")
    return tensors, about


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a .safetensors file with JSON metadata and flush it; refuse tensors that are not finite."""
    for name, tensor in tensors.items():
        if not _is_finite(tensor):
            raise NotFiniteError(f"{name}: holds NaN or infinity, so no checkpoint is written; the last one is good")
    said = {key: json.dumps(value) for key, value in metadata.items()}
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path, metadata=said)
    except SafetensorError as error:  # its text holds the number of the system's error
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error
    path.chmod(path.parent.stat().st_mode & 0o666)  # safetensors lets only the owner read
    flush(path)


def read_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file that write_tensors wrote; afterwards the file is closed and can be replaced.

    Raises CorruptCheckpointError for a file that is not what was written, and for NaN or infinity, which write_tensors
    never writes; ResourceError if the device has no room for it.
    """
    try:
        _require_file(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            mapped = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:  # safetensors has an error class of its own, JSON another
        raise CorruptCheckpointError(f"{path}: not a readable checkpoint ({_one_line(error)})") from error
    for name, tensor in mapped.items():
        if not _is_finite(tensor):
            raise CorruptCheckpointError(f"{path}: {_one_line(name)} holds NaN or infinity; take another checkpoint")
    with out_of_memory_as(lambda: f"{path}: {device} has no memory for it; make room there, or use another device"):
        # copied on the CPU, too: a mapped tensor keeps the file open, and changes with it
        return {name: tensor.to(device, copy=True) for name, tensor in mapped.items()}, metadata


def fingerprint(path: Path) -> dict[str, Any]:
    """Return the number of bytes and the SHA-256 of a file."""
    _require_file(path)
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _digest(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of the description and of the name, type, shape and bytes of every tensor."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _require_file(path: Path) -> None:
    """Refuse a path that is not a regular file: reading from a pipe or a device might never end."""
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no file")


def _one_line(error: object) -> str:
    """Shorten an error of another library, which may quote the file, to one printable line."""
    said = " ".join(str(error).split())
    return "".join(c if c.isprintable() else "?" for c in said[:MESSAGE]) or type(error).__name__


def _flatten(value: Any, at: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    """Copy nested state with every tensor replaced by its name.

    Mappings become lists of pairs, because JSON has no number keys.
    """
    if isinstance(value, Tensor):
        name = ".".join(at)
        while name in tensors:  # a.b in c and b in c.a, or 0 and "0"
            name += "'"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _flatten(item, (*at, str(key)), tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_flatten(item, (*at, str(i)), tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise TypeError(f"{'.'.join(at)}: a checkpoint holds no {type(value).__name__}")


def _unflatten(tree: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Restore nested state from the result of _strip."""
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "pairs":
        return {key: _unflatten(item, tensors) for key, item in content}
    return [_unflatten(item, tensors) for item in content] if kind == "list" else content
