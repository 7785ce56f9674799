"""Archives from strangers: nothing is written outside of the folder, whatever they try."""

import pytest
from archives import GOOD, write_zip
from folders import files_below

from cyclegan.data import archive
from cyclegan.data.archive import BadArchiveError, unpack
from cyclegan.errors import ResourceError


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
    with pytest.raises(ResourceError, match="needed"):
        unpack(write_zip(tmp_path / "fruit.zip", GOOD), tmp_path / "out")
    assert not files_below(tmp_path / "out")
