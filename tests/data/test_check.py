"""Checking a folder before anything is trained on it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan.data.validate import Report, check
from cyclegan.errors import UserError
from cyclegan.images.pixel_format import RGB, PixelFormat


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 6), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path) -> Path:
    """A good data set in the official layout."""
    for name, count in {"trainA": 2, "trainB": 3, "testA": 1, "testB": 1}.items():
        for number in range(count):
            save(tmp_path / "fruit" / name / f"{number}.png")
    return tmp_path / "fruit"


def test_a_good_data_set_is_counted_by_folder(root):
    report = check(root)
    assert report.counts == {"trainA": 2, "trainB": 3, "testA": 1, "testB": 1}
    assert report.bad == ()


def test_a_plain_folder_is_counted_with_all_below_it(tmp_path):
    save(tmp_path / "mine" / "a.jpg")
    save(tmp_path / "mine" / "deep" / "b.webp")
    report = check(tmp_path / "mine")
    assert report.counts == {"mine": 2}
    assert report.bad == ()


def test_a_linked_folder_is_followed(root, tmp_path):
    (root / "trainA").rename(tmp_path / "elsewhere")
    (root / "trainA").symlink_to(tmp_path / "elsewhere")
    assert check(root).counts["trainA"] == 2


def test_sizes_and_modes_are_summed_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "plain.png")
    save(tmp_path / "turned.jpg", exif=exif)
    save(tmp_path / "print.jpg", "CMYK")
    save(tmp_path / "glass.png", "LA")
    Image.fromarray(np.full((6, 8), 999, dtype=np.uint16)).save(tmp_path / "scan.png")
    Image.new("RGBA", (8, 6)).quantize().save(tmp_path / "sprite.png")
    report = check(tmp_path)
    assert report.sizes == {"8×6": 5, "6×8": 1}
    assert report.modes == {"RGB": 2, "CMYK": 1, "LA": 1, "I;16": 1, "P": 1}
    assert report.bad == ()


def spoil(path: Path, kind: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"text": b"hello", "empty": b"", "cut": data[: len(data) // 2], "gif": b"GIF89a"}[kind])


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "gif"])
def test_a_bad_file_is_named_with_its_reason_and_the_rest_is_still_looked_at(root, kind):
    spoil(root / "trainB" / "1.png", kind)
    report = check(root)
    assert len(report.bad) == 1
    assert report.bad[0].startswith(f"{root / 'trainB' / '1.png'}: not a readable picture (")
    assert report.sizes == {"8×6": 6}
    assert report.counts["trainB"] == 3


def test_every_bad_file_is_named(root):
    names = ["trainA/0.png", "trainB/2.png", "testB/0.png"]
    for name in names:
        spoil(root / name, "empty")
    assert [line.split(": ")[0] for line in check(root).bad] == [str(root / name) for name in names]


def test_a_missing_folder_is_bad(root):
    (root / "testB" / "0.png").unlink()
    (line,) = check(root).bad
    assert line.startswith(f"{root / 'testB'}: no images there; an image ends in one of .jpg .jpeg ")
    (root / "testB").rmdir()
    assert check(root).bad == (f"{root / 'testB'}: no such folder; give a folder of images",)


def test_an_empty_folder_is_bad(tmp_path):
    assert len(check(tmp_path).bad) == 1


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        check(tmp_path / "nowhere")


def test_the_report_reads_well(root):
    spoil(root / "trainA" / "0.png", "empty")
    lines = str(check(root)).splitlines()
    assert lines[0] == f"{root}: 6 of 7 pictures can be read"
    assert [line.split() for line in lines[1:5]] == [["trainA", "2"], ["trainB", "3"], ["testA", "1"], ["testB", "1"]]
    assert [line.split(maxsplit=1) for line in lines[5:7]] == [["sizes", "8×6 (6)"], ["modes", "RGB (6)"]]
    assert lines[7].startswith("note: 6 pictures smaller than 64 pixels: ")
    assert lines[-1].startswith(f"bad: {root}/trainA/0.png: not a readable picture")


def test_many_sizes_are_summed_up_by_the_commonest(tmp_path):
    for width in (1, 2, 3, 4, 5, 6, 7, 7):
        save(tmp_path / f"{len(list(tmp_path.iterdir()))}.png", size=(width, 1))
    line = str(check(tmp_path)).splitlines()[2]
    assert line.split(maxsplit=1)[1] == "7×1 (2), 1×1 (1), 2×1 (1), 3×1 (1), 4×1 (1), and 2 others"
    assert isinstance(check(tmp_path), Report)


def photograph(path: Path, seed: int, size: tuple[int, int] = (80, 64)) -> Path:
    """A picture that resembles no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(256, size=(6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def test_a_picture_that_is_there_twice_is_told_wherever_its_copies_are(tmp_path):
    photos, paintings = tmp_path / "photos", tmp_path / "paintings"
    for i in range(4):
        photograph(photos / f"{i}.png", i)
        photograph(paintings / f"{i}.png", 10 + i)
    assert list(check(photos, paintings).notes()) == []

    photograph(photos / "again.jpg", 1, size=(160, 128))
    photograph(paintings / "photo.jpg", 2)
    twice, across = sorted(check(photos, paintings).notes(), key=lambda note: "both" in note)
    pair = f"{photos / '1.png'} = {photos / 'again.jpg'}"
    assert twice == f"near duplicates: 1 of 5 pictures in {photos} could be left out: {pair}"
    pair = f"{photos / '2.png'} = {paintings / 'photo.jpg'}"
    both = f"both {photos} and {paintings}: 1 of 5 pictures in {paintings} could be left out"
    assert across == f"near duplicates in {both}: {pair}"


def test_training_and_test_pictures_are_compared_too(tmp_path):
    for number, part in enumerate(("trainA", "trainB", "testA", "testB")):
        photograph(tmp_path / part / "0.png", number)
    photograph(tmp_path / "testB" / "leak.png", 1)
    (note,) = check(tmp_path).notes()
    pair = f"{tmp_path}/trainB/0.png = {tmp_path}/testB/leak.png"
    assert note == f"near duplicates in both trainB and testB: 1 of 2 pictures in testB could be left out: {pair}"


def test_many_copies_are_counted_and_the_first_named(tmp_path):
    for i in range(5):
        photograph(tmp_path / f"{i}.png", 1)
    (note,) = check(tmp_path).notes()
    counted = f"4 of 5 pictures in {tmp_path.name} could be left out"
    assert note.startswith(f"near duplicates: {counted}: {tmp_path}/0.png = {tmp_path}/1.png, ")
    assert note.endswith(f"{tmp_path}/4.png")


def test_more_copies_than_are_named_are_cut_short(tmp_path):
    for i in range(7):
        photograph(tmp_path / f"{i}.png", 1)
    (note,) = check(tmp_path).notes()
    assert ": 6 of 7 pictures in" in note
    assert note.endswith(", …")


def test_grey_and_transparent_pictures_are_counted(tmp_path):
    for i in range(3):
        photograph(tmp_path / f"{i}.png", i)
        Image.open(photograph(tmp_path / f"grey{i}.png", 10 + i)).convert("L").save(tmp_path / f"grey{i}.jpg")
        (tmp_path / f"grey{i}.png").unlink()
    Image.open(photograph(tmp_path / "glass.png", 20)).convert("RGBA").save(tmp_path / "glass.png")
    name = tmp_path.name
    assert list(check(tmp_path).notes()) == [
        f"3 pictures of 7 in {name} without color",
        f"1 picture of 7 in {name} with an alpha channel, to be laid on white",
    ]


def test_of_two_folders_each_bad_file_is_named(tmp_path):
    photos, paintings = tmp_path / "photos", tmp_path / "paintings"
    bad = photograph(photos / "0.png", 0), photograph(paintings / "0.png", 1)
    for path in bad:
        spoil(path, "cut")
    report = check(photos, paintings)
    assert report.counts == {str(photos): 1, str(paintings): 1}
    assert [line.split(": ")[0] for line in report.bad] == [str(path) for path in bad]


def test_of_two_folders_each_is_one_side_even_if_it_holds_the_parts_of_a_data_set(root, tmp_path):
    save(tmp_path / "paintings" / "0.png")
    report = check(root, tmp_path / "paintings")
    assert report.counts == {str(root): 7, str(tmp_path / "paintings"): 1}
    assert report.bad == ()


@pytest.mark.parametrize("again", ["photos", "elsewhere/../photos", "linked"])
def test_a_folder_is_no_other_side_of_itself(again, tmp_path):
    save(tmp_path / "photos" / "0.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "photos")
    with pytest.raises(UserError, match=f"photos and {tmp_path / again}: are the same folder; give one for each side"):
        check(tmp_path / "photos", tmp_path / again)


@pytest.mark.parametrize(
    ("inner", "outer"), [("data/paintings", "data"), ("linked", "data"), ("data/x/deep", "data/x")]
)
def test_a_side_does_not_lie_within_the_other(inner, outer, tmp_path):
    save(tmp_path / "data" / "paintings" / "0.png")
    save(tmp_path / "data" / "x" / "deep" / "0.png")
    (tmp_path / "linked").symlink_to(tmp_path / "data" / "paintings")
    inner, outer = tmp_path / inner, tmp_path / outer
    for sides in ((inner, outer), (outer, inner)):
        with pytest.raises(UserError, match=f"^{inner} and {outer}: the first lies in the second; give each side"):
            check(*sides)


def test_two_sides_may_lie_in_one_folder(tmp_path):
    save(tmp_path / "photo" / "0.png")
    save(tmp_path / "photo2" / "0.png")
    assert check(tmp_path / "photo", tmp_path / "photo2").bad == ()


def test_files_that_are_no_pictures_by_their_names_are_counted_by_suffix(tmp_path):
    save(tmp_path / "0.png")
    assert "skipped" not in str(check(tmp_path))
    for name in ("1.jp2", "deep/2.JP2", "3.raw", "Makefile", ".DS_Store", "__MACOSX/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    report = check(tmp_path)
    assert report.bad == ()
    assert str(report).count("\nskipped: 2 .jp2, 1 .raw, 1 without suffix (convert images to JPEG or PNG)\n") == 1


def test_a_folder_of_nothing_but_such_files_says_so(root):
    for name in ("trainA/0.png", "trainA/1.png"):
        (root / name).rename((root / name).with_suffix(".jp2"))
    (line,) = check(root).bad
    assert line.startswith(
        f"{root}/trainA: no images there; skipped: 2 .jp2 (convert images to JPEG or PNG); an image "
    )


@pytest.mark.parametrize(("highest", "said"), [(4095, "[0, 4095]"), (9000, "[0, 16383]"), (40000, None), (0, None)])
def test_16_bits_that_use_little_of_their_range_are_noted(root, highest, said):
    for number in range(3):
        pixels = np.full((6, 8), highest * number // 2, dtype=np.uint16)
        Image.fromarray(pixels).save(root / "trainB" / f"{number}.png")
    notes = [note for note in check(root).notes() if "65,535" in note]
    values = f"the values of 3 pictures of 16 bits in trainB use 0…{highest} of 65,535"
    assert notes == ([f"{values}: declare data.range_y, as {said}"] if said else [])


def test_other_kinds_are_checked_as_training_reads_them(tmp_path):
    for name, channels in (("x/0.npy", 5), ("x/1.npy", 6), ("y/0.npy", 1)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / name, np.zeros((20, 30, channels), np.uint16))
    save(tmp_path / "y" / "1.png", "L")
    report = check(
        tmp_path / "x", tmp_path / "y", kinds=(PixelFormat(channels=5, range=(0.0, 9.0)), PixelFormat(channels=1))
    )
    assert report.bad == (
        f"{tmp_path / 'x' / '1.npy'}: not a readable picture (6 channels, where 5 are expected); remove or replace it",
    )
    assert check(tmp_path / "y", kinds=(RGB, RGB)).counts == {"y": 1}
