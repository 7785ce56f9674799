"""A run that was moved continues to the bit in another place, on data that it cannot write. (R5)"""

import os
import shutil
import subprocess
from pathlib import Path

import nano
import pytest
from nano import TIMEOUT


def read_only(folder: Path) -> list[str]:
    """Take away the right to write from everybody; from root, too, whom rights do not bind: a command to put before."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to have it not do so")
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def test_a_run_that_was_moved_continues_to_the_bit_in_another_place_on_data_it_cannot_write(
    tmp_path, first_difference, read_records, figure
):
    data, here, there = (tmp_path / name for name in ("data", "here", "there"))
    for folder in (data, here, there):
        folder.mkdir()
    place = nano.set_up(data, steps=15, data=f"{data}/")
    (place.folder / "nano.yaml").rename(here / "nano.yaml")
    shutil.copy(here / "nano.yaml", there)
    moved = nano.Place(here)
    with nano.launched(moved) as process:
        nano.wait_until(lambda: moved.count("save done") > 0, process, moved)
        process.kill()
        nano.ends(process)
    (here / "runs").rename(there / "runs")
    before = nano.Place(there).steps_saved()
    nano.finish(moved, 0)

    locked_out = read_only(data)
    tried = subprocess.run([*locked_out, "touch", str(data / "summer" / "new")], capture_output=True, timeout=TIMEOUT)
    assert tried.returncode != 0, "the data can be written: the test is blind"
    said = nano.typed(there, *locked_out, overrides=("--set", "data.workers=1"))
    assert f"continuing after step {before}\n" in said
    nano.assert_same_run(nano.Place(there).run, moved.run, first_difference, read_records)
    figure("R5", f"moved after step {before}, typed elsewhere, data read-only: 0 bits of difference")
