"""F2: a .pth made to harm whoever loads it is refused in one line; nothing in it runs, and memory stays small."""

import io
import os
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mutants import watched

from cyclegan.networks.weights import WrongWeightsError, read_tensors

GOOD = {"a.weight": torch.arange(4.0)}
BOMB_MB = 64
HUGE = 2**40


class Calls:
    """Calls a function when it is unpickled without care."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def of_numbers(size: tuple[int, ...], stride: tuple[int, ...]) -> Calls:
    """A tensor of four numbers that claims to be another."""
    storage = torch.storage.TypedStorage(
        wrap_storage=torch.zeros(4).untyped_storage(), dtype=torch.float32, _internal=True
    )
    return Calls(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, OrderedDict())


def saved(content: object) -> Callable[[Path, Path], object]:
    return lambda path, marker: torch.save({"a.weight": content}, path)


def os_system(path: Path, marker: Path) -> None:
    torch.save({"a": Calls(os.system, f"touch {marker}")}, path)


def evaluated(path: Path, marker: Path) -> None:
    torch.save({"a": Calls(eval, f"__import__('pathlib').Path({str(marker)!r}).touch()")}, path)


def bare(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Calls(Path.touch, marker)}, protocol=2))


def nested(path: Path, marker: Path) -> None:
    inside = io.BytesIO()
    torch.save(Calls(os.system, f"touch {marker}"), inside)
    torch.save({"a": Calls(torch.load, Calls(io.BytesIO, inside.getvalue()))}, path)


def torchscript(path: Path, marker: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def repacked(path: Path, kind: int) -> None:
    """The same zip by another compression."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in members.items():
            file.writestr(name, content)


def bomb(path: Path, marker: Path) -> None:
    torch.save({"a": torch.zeros(BOMB_MB * 2**18)}, path)
    repacked(path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20


def compressed(path: Path, marker: Path) -> None:
    torch.save({"a": torch.rand(1000)}, path)
    repacked(path, zipfile.ZIP_DEFLATED)


def overlapping(path: Path, marker: Path) -> None:
    """Fifty names for the same bytes."""
    torch.save({"a": torch.rand(1000)}, path)
    with zipfile.ZipFile(path, "a") as file:
        largest = max(file.filelist, key=lambda member: member.file_size)
        file.filelist += [largest] * 50
        file._didModify = True


def crowded(path: Path, marker: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for number in range(10_001):
            file.writestr(f"archive/{number}", b"")


def old_tar(path: Path, marker: Path) -> None:
    with tarfile.open(path, "w") as file:
        for name in ("sys_info", "pickle", "storages", "tensors", "../evil"):
            file.addfile(tarfile.TarInfo(name))


def old_claims(path: Path, marker: Path) -> None:
    """The format before the zip: a storage of 2⁴⁰ numbers, of which none is there."""
    torch.save(GOOD, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    four = b"K\x04N"  # the count of numbers, then None
    assert four in content
    path.write_bytes(content.replace(four, b"\x8a\x06" + HUGE.to_bytes(6, "little") + b"N"))


WEIGHTS = {
    "os.system": os_system,
    "eval": evaluated,
    "a bare pickle": bare,
    "a torch file within": nested,
    "TorchScript": torchscript,
    "a zip bomb": bomb,
    "compressed members": compressed,
    "overlapping members": overlapping,
    "10,001 members": crowded,
    "an old tar": old_tar,
    "2^40 numbers in the old format": old_claims,
    "a shape of 2^40": saved(of_numbers((HUGE,), (1,))),
    "2^40 times the same number": saved(of_numbers((HUGE,), (0,))),
    "a negative stride": saved(of_numbers((4,), (-1,))),
    "overlapping rows": saved(of_numbers((3, 4), (0, 1))),
}


@pytest.fixture(autouse=True)
def told_to_trust(monkeypatch):
    """What a shell may have set long ago, and what must change nothing."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")


def test_hostile_weights_are_refused_and_do_nothing(tmp_path, figure):
    marker = tmp_path / "marker"
    torch.save(GOOD, tmp_path / "good.pth")
    assert torch.equal(read_tensors(tmp_path / "good.pth")["a.weight"], GOOD["a.weight"])
    for name, write in WEIGHTS.items():
        write(tmp_path / f"{name}.pth", marker)
    with watched() as watch:
        for name in WEIGHTS:
            with watch.on(name), pytest.raises(WrongWeightsError, match="not a file of weights") as caught:
                read_tensors(tmp_path / f"{name}.pth")
            assert str(caught.value).isprintable(), name
    assert not marker.exists()
    figure("F2", f"{len(WEIGHTS)} hostile .pth: 0 executed, 0 loaded; {watch}")
    assert watch.slowest < 2, watch.slowest_name
    assert watch.peak < BOMB_MB / 2


def test_these_payloads_do_harm_where_nobody_takes_care(tmp_path):
    for name in ("os.system", "eval", "a torch file within"):
        marker = tmp_path / "marker"
        WEIGHTS[name](tmp_path / "evil.pth", marker)
        with warnings.catch_warnings(action="ignore"):  # of the variable, which here does what it says
            torch.load(tmp_path / "evil.pth", weights_only=False)
        assert marker.exists(), name
        marker.unlink()
