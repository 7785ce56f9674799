"""Files of pretrained weights: where to find them; no file is parsed before its SHA-256 has been compared.

Looked for  in $CYCLEGAN_WEIGHTS if it is set, in ~/.cache/cyclegan, and where torch.hub keeps its downloads;
            a file found in none of them is fetched into ~/.cache/cyclegan.
Compared    with all 64 digits of the SHA-256, or with those that its publisher has put into the name of the
            file, or with none where none are published; `Weights` records how many were compared, and the
            file's SHA-256.
Parsed      .safetensors, and .pth by torch.load(weights_only=True): tensors and containers, nothing that
            could be executed. This is the only module that calls torch.load, and it checks the zip archive
            first: torch.load would decompress compressed members to a thousand times their size, and trust
            any size that a tensor claims.
"""

import hashlib
import os
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from cyclegan.errors import UserError
from cyclegan.networks.pretrained import SOURCES, Source

CACHE = Path("~/.cache/cyclegan")
CHUNK = 1 << 20
TIMEOUT = 30  # seconds without a byte
MAX_MEMBERS = 10_000  # of the zip that a .pth is
LONGEST = 500  # characters of the name of a dictionary that is searched
MAX_GROWTH = 1.02  # size of its contents over that of the file: torch.save does not compress

NOT_NAMED = "holds something else than named tensors; give a state dictionary"

_may_fetch = ContextVar("may_fetch", default=True)


class WeightsMissingError(UserError):
    """A file of weights that is not on this machine.

    The message names the file, its URL and the folder to put it in.
    """


class WrongWeightsError(UserError):
    """A file of weights that is not the expected one or is not readable."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Contents of a file of weights, and the identity of the file."""

    file: str
    sha256: str
    known: int  # how many digits of the SHA-256 were known before and agree: 64, or fewer, or none
    license: str
    tensors: dict[str, Tensor]


def load_weights(name: str) -> Weights:
    """Find or fetch the file of a source, compare its SHA-256, then parse it."""
    path, sha256, known = _locate(name)
    license = SOURCES[name].license
    return Weights(file=path.name, sha256=sha256, known=known, license=license, tensors=read_tensors(path))


def load_into(network: nn.Module, weights: Weights, title: str, below: str = "") -> None:
    """Load the weights into a network in float32, and freeze it.

    below  Load only the weights whose names begin with this prefix.
    """
    found = {name.removeprefix(below): t.float() for name, t in weights.tensors.items() if name.startswith(below)}
    try:
        network.load_state_dict(found, assign=True)
    except RuntimeError as error:
        raise WrongWeightsError(f"{weights.file}: is no {title}; fetch it anew") from error
    network.eval().requires_grad_(False)


def find_weights(name: str) -> Path:
    """Return the file of a source after its SHA-256 was compared; fetch it if it is not on this machine."""
    return _locate(name)[0]


def download_hint(name: str) -> str:
    """Return the instruction for obtaining the preferred file of a source, for use in messages."""
    source = SOURCES[name]
    folder = CACHE.expanduser()
    return f"put {_best(source)[0]} from {source.url} into {folder}, or into a folder named by CYCLEGAN_WEIGHTS"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a .safetensors or .pth file onto the CPU; no code in the file is executed."""
    tensors = _parsed(path)
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        raise WrongWeightsError(f"{path}: {NOT_NAMED}")
    _require_stored(path, tensors)
    return dict(tensors)


def read_nested(path: Path) -> dict[str, Tensor]:
    """Read the tensors of nested dictionaries, as training programs save them: {"net": {"a": …}} → net.a.

    All other values are skipped.
    """
    content = _parsed(path)
    tensors = dict(_flat(content)) if isinstance(content, Mapping) else {}
    if not tensors and content != {}:
        raise WrongWeightsError(f"{path}: {NOT_NAMED}")
    _require_stored(path, tensors)
    return tensors


def _flat(content: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in nested dictionaries by its full name.

    Each dictionary is read once, because a few bytes can describe a dictionary that contains itself.
    """
    waiting: list[tuple[str, Any]] = [("", content)]
    seen = set()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping) and id(value) not in seen and len(name) < LONGEST:
            seen.add(id(value))
            waiting += [(f"{name}.{key}" if name else key, each) for key, each in value.items() if isinstance(key, str)]


def _parsed(path: Path) -> Any:
    try:
        return load_file(path) if path.suffix == ".safetensors" else _load_pth(path)
    except Exception as error:  # both parsers raise many classes on damaged files
        reason, remedy = _reason(error)
        raise WrongWeightsError(f"{path}: not a file of weights ({reason}); {remedy}") from error


def _reason(error: Exception) -> tuple[str, str]:
    """Return reason and remedy, in one line.

    PyTorch's own message for files that could execute code advises the user to allow it, so it is replaced.
    """
    said = str(error)
    if "Unsupported global" in said or "Unsupported class" in said or "TorchScript" in said:
        return "it holds a whole network or other objects, which are not loaded", "save net.state_dict() and give that"
    line = (said.splitlines() or [type(error).__name__])[0]
    if line.startswith("Weights only load failed"):
        return "it holds more than tensors, or less", "fetch it anew"
    return "".join(character if character.isprintable() else "?" for character in line[:120]), "fetch it anew"


def _load_pth(path: Path) -> Any:
    """Load a file written by torch.save."""
    _require_plain(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _require_stored(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors larger than their stored data: one number can be expanded to a billion elements."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise WrongWeightsError(
                f"{path}: not a file of weights ({name[:60]!r} is not all in the file); fetch it anew"
            )


def _require_plain(path: Path) -> None:
    """Refuse a zip archive that torch.save would not write.

    A file that is no zip is in PyTorch's older format, which has nothing to decompress.
    """
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{len(members):,} members are more than {MAX_MEMBERS:,}")
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise ValueError("TorchScript")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its members are compressed")
    if sum(member.file_size for member in members) > MAX_GROWTH * path.stat().st_size:
        raise ValueError("its contents are larger than the file")


def hash_file(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _locate(name: str) -> tuple[Path, str, int]:
    """Return the first file that exists, its SHA-256, and how many digits of that were known."""
    source = SOURCES[name]
    for folder in _folders():
        for file, digits in source.files.items():
            if (folder / file).is_file():
                return folder / file, _verify(folder / file, digits), len(digits)
    return _fetch(name, source)


def _folders() -> list[Path]:
    chosen = os.environ.get("CYCLEGAN_WEIGHTS")
    if chosen and not Path(chosen).expanduser().is_dir():
        raise UserError(f"CYCLEGAN_WEIGHTS: {chosen} is no folder; name the one that holds the weights, or unset it")
    folders = [CACHE, Path(torch.hub.get_dir()) / "checkpoints"]
    return [folder.expanduser() for folder in ([Path(chosen), *folders] if chosen else folders)]


@contextmanager
def offline() -> Iterator[None]:
    """Forbid fetching within this context; weights that are not on this machine raise WeightsMissingError."""
    token = _may_fetch.set(False)
    try:
        yield
    finally:
        _may_fetch.reset(token)


def _fetch(name: str, source: Source) -> tuple[Path, str, int]:
    if not _may_fetch.get():
        raise WeightsMissingError(f"the weights '{name}' are not on this machine; {download_hint(name)}")
    file, digits = _best(source)
    folder = CACHE.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, suffix=".part") as room:
            _download(source.url, Path(room) / file)
            sha256 = hash_file(Path(room) / file)
            if not sha256.startswith(digits):
                raise OSError(f"what came has the sha256 {sha256} and not {digits}")
            (Path(room) / file).replace(folder / file)
    except (OSError, HTTPException) as error:
        raise WeightsMissingError(
            f"the weights '{name}' are not on this machine and cannot be fetched ({error}); {download_hint(name)}"
        ) from error
    return folder / file, sha256, len(digits)


def _best(source: Source) -> tuple[str, str]:
    """Return the name and the digits of the file that the URL leads to."""
    return next(iter(source.files.items()))


def _download(url: str, path: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "cyclegan"})
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
        path.open("wb") as file,
        tqdm(total=answer.length, unit="B", unit_scale=True, desc=path.name, disable=None) as bar,
    ):
        while chunk := answer.read(CHUNK):
            bar.update(file.write(chunk))


def _verify(path: Path, digits: str) -> str:
    sha256 = hash_file(path)
    if not sha256.startswith(digits):
        raise WrongWeightsError(
            f"{path}: is not the {path.name} we know: its sha256 is {sha256}, not {digits}; remove it to fetch it anew"
        )
    return sha256
