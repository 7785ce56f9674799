"""F5: archives from strangers. Nothing is written outside of the folder, and what is evil is refused as a whole."""

import contextlib
import re
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import GOOD, write_zip
from folders import files_below
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import mutate, named, watched

from cyclegan.data.archive import BadArchiveError, unpack

Evil = Callable[[Path], object]  # writes an archive


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


def crowded(path: Path) -> None:
    """More members than a data set has pictures."""
    with zipfile.ZipFile(write_zip(path, {"trainA/0.png": b""}), "a") as file:
        file.filelist *= 100_001
        file._didModify = True


def test_evil_archives_are_refused_and_nothing_is_written_elsewhere(tmp_path, figure):
    (tmp_path / "data").mkdir()
    (tmp_path / "target.png").write_bytes(b"mine")
    everything = EVIL | {"100,001 members": (crowded, "100,001 members are more than 100,000")}
    with watched() as watch:
        for kind, (write, complaint) in everything.items():
            write(tmp_path / "data" / "fruit.zip")
            before = files_below(tmp_path)
            with watch.on(kind), pytest.raises(BadArchiveError) as caught:
                unpack(tmp_path / "data" / "fruit.zip", tmp_path / "data" / "out")
            said = str(caught.value)
            assert re.search(rf"fruit\.zip: cannot be unpacked: .*({complaint})", said), kind
            assert said.isprintable(), kind
            after = files_below(tmp_path)
            assert {name: data for name, data in after.items() if not name.startswith("data/out/")} == before, kind
            shutil.rmtree(tmp_path / "data" / "out", ignore_errors=True)
    figure("F5", f"{len(everything)} evil archives: all refused, nothing written outside of the folder; {watch}")
    assert watch.peak < 300


def why_not(archive: Path, folder: Path) -> str | None:
    """What is wrong with an archive; None if it could be unpacked."""
    try:
        unpack(archive, folder)
    except BadArchiveError as error:
        return str(error)
    return None


def test_a_mutated_archive_is_refused_or_gives_its_pictures(tmp_path, size, figure):
    archive = write_zip(tmp_path / "fruit.zip", GOOD)
    content, count, refused = archive.read_bytes(), size(60, 300), 0
    with watched() as watch:
        for number in range(count):
            way, mutant = mutate(content, number)
            archive.write_bytes(mutant)
            with watch.on(named(number, way)):
                said = why_not(archive, tmp_path / "out")
            assert said is None or said.isprintable(), named(number, way)
            if said is None:
                assert set(files_below(tmp_path / "out").values()) <= set(GOOD.values()), named(number, way)
            refused += said is not None
            assert {path.name for path in tmp_path.iterdir()} <= {"fruit.zip", "out"}, named(number, way)
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
    figure("F5", f"{count} mutated archives: {refused} refused, 0 tracebacks, no picture of other content; {watch}")


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
