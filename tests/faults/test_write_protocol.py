"""What is written reaches the disk in order, which no kill can show, as the system's memory survives it. (K3)"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from box import save_30, two_saved, weights

from cyclegan.training.atomic import replace_text, replacing
from cyclegan.training.best_weights import Best
from cyclegan.training.checkpoint import list_checkpoints, verify
from cyclegan.training.run import Run


@contextmanager
def effects_recorded(folder: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Within this context `notify` is told whatever must be in the right order, before it happens."""
    fsync, rename, replace, rmtree = os.fsync, os.rename, os.replace, shutil.rmtree

    def recorded_fsync(descriptor: int) -> None:
        known = {path.stat().st_ino: path.name for path in (folder, *folder.rglob("*"))}
        notify(f"flush {known[os.fstat(descriptor).st_ino]}")
        fsync(descriptor)

    def recorded_rename(old: Path, new: Path) -> None:
        notify(f"rename {Path(old).name} to {Path(new).name}")
        rename(old, new)

    def recorded_replace(old: Path, new: Path) -> None:
        notify(f"replace {Path(new).name} by {Path(old).name}")
        replace(old, new)

    def recorded_rmtree(path: Path, **options: Any) -> None:
        if path.exists():
            notify(f"remove {path.name}")
        rmtree(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", recorded_fsync)
        patch.setattr(os, "rename", recorded_rename)
        patch.setattr(os, "replace", recorded_replace)
        patch.setattr(shutil, "rmtree", recorded_rmtree)
        yield


SAVING_30 = [
    "flush state.safetensors",
    "flush release.safetensors",
    "flush manifest.json",
    "flush step-00000030.partial",
    "rename step-00000030.partial to step-00000030",
    "flush checkpoints",
    "remove step-00000010",
]


def test_files_reach_the_disk_before_the_manifest_before_the_name_before_anything_is_removed(tmp_path, figure):
    folder, happened = two_saved(tmp_path / "checkpoints"), []

    def look(event: str) -> None:
        partial = folder / "step-00000030.partial"
        if event in SAVING_30[:2]:
            assert not (partial / "manifest.json").exists()
        if event == SAVING_30[2]:
            verify(partial)
        for committed in list_checkpoints(folder):
            verify(committed)
        happened.append(event)

    with effects_recorded(folder, look):
        save_30(folder)
    assert happened == SAVING_30
    figure("K3", f"{len(happened)} effects in order: files, manifest, folder, name, parent; then the oldest goes")


def best_is_offered(folder: Path) -> None:
    best = Best(folder / "best.safetensors", {"G.weight": weights(1.0)}, {"x": "photo"})
    assert best.update({"distance": 1.0}, step=3)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("config.yaml", lambda folder: Run(folder, "a: 1\n", {})._claim("a: 1\n", str)),
        ("log.jsonl", lambda folder: Run(folder, "a: 1\n", {})._trim_log(0)),
        ("left-out.txt", lambda folder: Run(folder, "a: 1\n", {}).leave_out(["a.png: bad"])),
        ("best.safetensors", best_is_offered),
        ("recipe.yaml", lambda folder: replace_text(folder / "recipe.yaml", "a: 1\n")),
    ],
)
def test_what_a_file_holds_is_on_the_disk_before_its_name_and_its_name_before_anything_else(
    tmp_path, name, write, figure
):
    happened: list[str] = []
    with effects_recorded(tmp_path, happened.append):
        write(tmp_path)
    assert happened[-3:] == [f"flush {name}.partial", f"replace {name} by {name}.partial", f"flush {tmp_path.name}"]
    figure("K3", f"{name}: file, name, folder")


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    replace_text(tmp_path / "config.yaml", "old")

    def fill(text: str) -> None:
        with replacing(tmp_path / "config.yaml") as partial:
            partial.write_text(text)
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        fill("half")
    assert caught.value.filename == str(tmp_path / "config.yaml")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"config.yaml": "old"}
