"""Archives from strangers: nothing is written outside of the folder, whatever they try."""

import zipfile
from pathlib import Path

import pytest

from cyclegan.data import archive
from cyclegan.data.archive import BadArchiveError, unpack
from cyclegan.errors import NoSpaceError

GOOD = {"trainA/a.png": b"1", "trainB/b.jpg": b"2", "testA/c.webp": b"3", "testB/sub/d.png": b"4"}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_four_folders_are_unpacked(tmp_path):
    unpack(write_zip(tmp_path / "fruit.zip", GOOD), tmp_path / "out")
    assert files_below(tmp_path / "out") == GOOD


def test_a_folder_around_them_is_left_out(tmp_path):
    unpack(write_zip(tmp_path / "fruit.zip", {f"fruit/{name}": data for name, data in GOOD.items()}), tmp_path / "out")
    assert files_below(tmp_path / "out") == GOOD


def test_all_but_pictures_of_the_four_folders_is_left_out(tmp_path):
    rest = [
        "README",
        "a.png",
        "valA/a.png",
        "__MACOSX/fruit/trainA/._a.png",
        "trainA/run.sh",
        "trainA/.DS_Store",
        "trainA.png/x",
    ]
    unpack(
        write_zip(tmp_path / "fruit.zip", GOOD | dict.fromkeys(rest, b"x") | {"trainA/deep.png/": b""}),
        tmp_path / "out",
    )
    assert files_below(tmp_path / "out") == GOOD


# Limits


@pytest.mark.parametrize(
    ("limit", "complaint"), [("MAX_MEMBERS", "4 members are more than 3"), ("MAX_BYTES", "larger than 0 GiB")]
)
def test_members_and_bytes_are_limited(tmp_path, monkeypatch, limit, complaint):
    monkeypatch.setattr(archive, limit, 3)
    with pytest.raises(BadArchiveError, match=complaint):
        unpack(write_zip(tmp_path / "fruit.zip", GOOD), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_noticed_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3}))
    with pytest.raises(NoSpaceError, match="needed"):
        unpack(write_zip(tmp_path / "fruit.zip", GOOD), tmp_path / "out")
    assert not files_below(tmp_path / "out")
