"""Finding image files below folders: links, loops, and what is said of the files that are skipped."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from cyclegan.images import find
from cyclegan.images.find import FILMS, describe_skipped, find_images, none_found, scan, skipped_below


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(folder: Path, **options: bool) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_images(folder, **options)]


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jif", ".JFIF", ".gif"])
def test_every_name_of_a_format_is_one_of_an_image(tmp_path, suffix):
    assert names(fill(tmp_path, f"a{suffix}")) == [f"a{suffix}"]


def test_a_linked_folder_is_followed(tmp_path):
    fill(tmp_path / "elsewhere", "a.png", "deep/b.png")
    folder = fill(tmp_path / "photos", "c.png")
    (folder / "set1").symlink_to("../elsewhere")
    assert names(folder) == ["c.png", "set1/a.png", "set1/deep/b.png"]


def test_a_folder_that_is_linked_twice_is_read_once(tmp_path):
    fill(tmp_path / "elsewhere", "a.png")
    folder = fill(tmp_path / "photos", "c.png")
    for name in ("one", "two"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
    assert names(folder) == ["c.png", "one/a.png"]


def test_links_to_a_folder_that_is_there_anyway_do_not_rename_its_images(tmp_path):
    folder = fill(tmp_path / "photos", "real/a.png")
    (folder / "another").symlink_to(folder / "real")
    assert names(folder) == ["real/a.png"]


def test_loops_end(tmp_path):
    folder = fill(tmp_path / "photos", "a.png", "deep/b.png")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "itself.png").symlink_to("itself.png")
    assert scan(folder) == ([folder / "a.png", folder / "deep" / "b.png"], Counter({"broken links": 1}))


def test_hidden_folders_are_left_out_behind_links_too(tmp_path):
    fill(tmp_path / "elsewhere", ".cache/a.png", "__MACOSX/b.png", "c.png")
    folder = fill(tmp_path / "photos")
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / ".hidden").symlink_to(tmp_path / "elsewhere")
    assert names(folder) == ["linked/c.png"]


def test_a_link_to_a_file_is_an_image_by_its_own_name_and_a_broken_one_is_counted(tmp_path):
    folder = fill(tmp_path / "photos", "a.png")
    (folder / "b.jpg").symlink_to("a.png")
    (folder / "c.jpg").symlink_to("gone.jpg")
    assert names(folder) == ["a.png", "b.jpg"]
    assert describe_skipped(scan(folder).skipped) == "skipped: 1 broken links"


def test_a_folder_that_may_not_be_opened_is_counted(tmp_path, monkeypatch):
    folder = fill(tmp_path / "photos", "a.png", "closed/b.png")
    listdir = os.listdir

    def refusing(place: Path) -> list[str]:
        if place.name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return listdir(place)

    monkeypatch.setattr(find.os, "listdir", refusing)
    assert names(folder) == ["a.png"]
    assert skipped_below([folder]) == "skipped: 1 folders without permission"


def test_skipped_files_are_counted_by_suffix_with_a_remedy_for_each_kind(tmp_path):
    folder = fill(tmp_path, "a.png", "b.MP4", "c.mp4", "d.jp2", "e.txt", "f.npy")
    line = skipped_below([folder, folder / "a.png"])
    assert line.startswith("skipped: 2 .mp4, 1 .jp2, 1 .npy, 1 .txt (")
    assert "requirements-video.txt" in line
    assert "JPEG or PNG" in line
    assert "channels" in line
    assert skipped_below([folder], arrays=True).startswith("skipped: 2 .mp4, 1 .jp2, 1 .txt (")
    assert skipped_below([folder / "a.png"]) == ""


@pytest.mark.parametrize("suffix", sorted(FILMS))
def test_of_a_folder_of_films_alone_the_error_speaks_of_films(tmp_path, suffix):
    error = str(none_found(fill(tmp_path, f"a{suffix}")))
    assert error.startswith(f"{tmp_path}: only films there, no images; skipped: 1 {suffix} (name films one by one")


def test_of_an_empty_folder_the_error_lists_what_is_read_and_of_a_missing_one_says_so(tmp_path):
    assert ".jpg .jpeg .jpe .jif .jfif .png" in str(none_found(tmp_path))
    assert ".npy" in str(none_found(tmp_path, arrays=True))
    assert str(none_found(tmp_path / "no")).startswith(f"{tmp_path / 'no'}: no such folder")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_are_not_utf8_are_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    assert names(fill(tmp_path, name, "a.png")) == ["a.png", name]
