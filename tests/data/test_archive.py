"""Archives from strangers: nothing is written outside of the folder, whatever they try."""

import contextlib
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.data import archive
from cyclegan.data.archive import BadArchiveError, unpack
from cyclegan.errors import NoSpaceError

GOOD = {"trainA/a.png": b"1", "trainB/b.jpg": b"2", "testA/c.webp": b"3", "testB/sub/d.png": b"4"}
Evil = Callable[[Path], object]  # writes an archive


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


# Evil archives


def holding(members: dict[str, bytes]) -> Evil:
    """These members."""
    return lambda path: write_zip(path, members)


def called(*names: str) -> Evil:
    """Members of these names beside good ones."""

    def write(path: Path) -> None:
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as file:
            warnings.simplefilter("ignore", UserWarning)  # of a name given twice
            for name in [*GOOD, *names]:
                member = zipfile.ZipInfo("x")
                member.filename = name
                file.writestr(member, b"evil")

    return write


def of_kind(mode: int) -> Evil:
    """A member that claims to be a link or a device."""

    def write(path: Path) -> None:
        member = zipfile.ZipInfo("trainA/link.png")
        member.external_attr = (mode | 0o644) << 16
        with zipfile.ZipFile(write_zip(path, GOOD), "a") as file:
            file.writestr(member, b"../../target.png")

    return write


def with_bytes(change: Callable[[bytes], bytes]) -> Evil:
    """A good archive, changed afterwards."""

    def write(path: Path) -> None:
        write_zip(path, GOOD)
        path.write_bytes(change(path.read_bytes()))

    return write


def encrypted(data: bytes) -> bytes:
    """Sets the flag in the first local header and in the first entry of the directory."""
    at = data.index(b"PK\x01\x02")
    return data[:6] + b"\x01" + data[7 : at + 8] + b"\x01" + data[at + 9 :]


def understated(data: bytes) -> bytes:
    """Claims that the first member is empty, in the directory."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 24] + bytes(4) + data[at + 28 :]


def not_utf8(data: bytes) -> bytes:
    """A name that is said to be UTF-8 and is not."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\x00\x08" + data[at + 10 :].replace(b"trainA", b"train\xff", 1)


EVIL: dict[str, tuple[Evil, str]] = {
    "parent": (called("../evil.png"), "leads out of its folder"),
    "parent inside": (called("trainA/../../evil.png"), "leads out of its folder"),
    "parent outside of the four": (called("docs/../../evil.txt"), "leads out of its folder"),
    "absolute": (called("/tmp/evil.png"), "leads out of its folder"),
    "network path": (called("//host/evil.png"), "leads out of its folder"),
    "drive letter": (called("C:/evil.png"), "leads out of its folder"),
    "backslashes": (called("trainA\\..\\..\\evil.png"), "leads out of its folder"),
    "NUL": (called("trainA/evil.png\0.txt"), "control character"),
    "newline": (called("trainA/evil\n.png"), "control character"),
    "symbolic link": (of_kind(stat.S_IFLNK), "link or a device"),
    "device": (of_kind(stat.S_IFCHR), "link or a device"),
    "pipe": (of_kind(stat.S_IFIFO), "link or a device"),
    "encrypted": (with_bytes(encrypted), "'trainA/a.png' is encrypted"),
    "case clash": (called("trainA/A.PNG"), "differ from it by case alone"),
    "same name twice": (called("trainA/a.png"), "are called 'traina/a.png'"),
    "same place twice": (called("trainA//a.png"), "are called 'traina/a.png'"),
    "file and folder": (called("trainA/a.png/b.png"), "File exists"),
    "bomb": (holding(GOOD | {"trainA/0.png": bytes(10**6)}), "would grow more than 200 times"),
    "truncated": (with_bytes(lambda data: data[: len(data) // 2]), "not a zip file"),
    "no archive": (with_bytes(lambda _: b"<html>404</html>"), "not a zip file"),
    "empty file": (with_bytes(lambda _: b""), "not a zip file"),
    "no member": (holding({}), "has no pictures in trainA trainB testA testB"),
    "damaged member": (with_bytes(lambda data: data.replace(b"a.png\x33", b"a.png\x35", 1)), "CRC|invalid"),
    "understated size": (with_bytes(understated), "CRC"),
    "names that differ": (with_bytes(lambda data: data.replace(b"trainA/a", b"trainA/z", 1)), "differ"),
    "broken name": (with_bytes(not_utf8), "can't decode"),
}  # fmt: skip


@pytest.mark.parametrize("kind", EVIL)
def test_an_evil_archive_is_refused_and_nothing_is_written_elsewhere(tmp_path, kind):
    write, complaint = EVIL[kind]
    (tmp_path / "data").mkdir()
    (tmp_path / "target.png").write_bytes(b"mine")
    write(tmp_path / "data" / "fruit.zip")
    before = files_below(tmp_path)
    with pytest.raises(BadArchiveError, match=rf"fruit\.zip: cannot be unpacked: .*({complaint})") as caught:
        unpack(tmp_path / "data" / "fruit.zip", tmp_path / "data" / "out")
    assert len(str(caught.value).splitlines()) == 1
    after = files_below(tmp_path)
    assert {name: data for name, data in after.items() if not name.startswith("data/out/")} == before


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


PARTS = st.sampled_from(
    ["..", ".", "", "~", "trainA", "TRAINA", "testB", "fruit", "a.png", "A.png", "C:", "\\", "\0", "%2e%2e"]
)


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), max_size=4))
def test_no_name_whatsoever_leads_out_of_the_folder(tmp_path_factory, names):
    room = tmp_path_factory.mktemp("room")
    called(*names)(room / "fruit.zip")
    before = files_below(room)
    with contextlib.suppress(BadArchiveError):
        unpack(room / "fruit.zip", room / "out")
    inside = {"out/trainA/", "out/trainB/", "out/testA/", "out/testB/"}
    assert all(any(name.startswith(folder) for folder in inside) for name in files_below(room).keys() - before.keys())
