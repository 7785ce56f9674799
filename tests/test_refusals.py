"""What the system refuses, wherever it does: one line with file, words and remedy, and the right exit code."""

import errno
import hashlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from archives import GOOD, write_zip
from folders import two_sides
from PIL import Image

from cyclegan.cli import main
from cyclegan.commands import data
from cyclegan.data import archive, fetch
from cyclegan.data import builtin as embedded
from cyclegan.data.cards import Archive, Card
from cyclegan.errors import ResourceError, UserError, with_filename
from cyclegan.evaluation import comparison_report, report
from cyclegan.evaluation.comparison import Comparison
from cyclegan.images.rgb8 import write_picture
from cyclegan.training.checkpoint import write_release
from cyclegan.training.lock import locked

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def meets(monkeypatch) -> Callable[[Exception], int]:
    """The exit code of a command that meets an error."""

    def run(error: Exception) -> int:
        def fail() -> int:
            raise error

        monkeypatch.setattr(data, "list_data", fail)
        return main(["data", "list"])

    return run


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO"])
def test_a_disk_that_is_full_or_gone_is_exit_code_4_and_a_line(meets, capsys, number):
    code = getattr(errno, number)
    assert meets(OSError(code, os.strerror(code), "runs/a/b.json")) == 4
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: runs/a/b.json: {os.strerror(code)}; make room there")


@pytest.mark.parametrize("number", ["EACCES", "ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"])
def test_what_else_the_system_refuses_is_exit_code_2_and_a_line(meets, capsys, number):
    code = getattr(errno, number)
    assert meets(OSError(code, os.strerror(code), "there.yaml")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said == f"error: there.yaml: {os.strerror(code)}; see whether the path is right, and whether you may use it"


@pytest.mark.parametrize("number", ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"])
def test_a_connection_that_fails_is_exit_code_4(meets, capsys, number):
    code = getattr(errno, number)
    assert meets(OSError(code, os.strerror(code))) == 4
    assert os.strerror(code) in capsys.readouterr().err


@pytest.mark.parametrize("bug", [OSError("a library's words"), ValueError("ours"), KeyError("ours")])
def test_a_bug_of_ours_keeps_its_traceback(meets, bug):
    with pytest.raises(type(bug)):
        meets(bug)


@pytest.mark.parametrize("error", [FULL, UserError("seed: is wrong")])
def test_who_debugs_sees_the_traceback(meets, monkeypatch, error):
    monkeypatch.setenv("CYCLEGAN_DEBUG", "1")
    with pytest.raises(UserError):
        meets(error)
    monkeypatch.setenv("CYCLEGAN_DEBUG", "0")
    assert meets(error) in (2, 4)


def test_a_reader_that_goes_away_is_no_failure(meets, monkeypatch):
    with open(os.devnull, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        assert meets(BrokenPipeError(errno.EPIPE, "Broken pipe")) == 0


def test_the_name_that_is_told_is_not_replaced():
    with pytest.raises(OSError, match="inner") as caught, with_filename("outer"):
        raise FileNotFoundError(errno.ENOENT, "no", "inner")
    assert caught.value.filename == "inner"


def always_full(file: Path) -> Path:
    """Nothing can be written into it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to("/dev/full")
    return file


def test_a_lock_that_cannot_be_signed(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # of a file: what it may have
    try:
        with pytest.raises(ResourceError, match=r"run: can no longer be written \(File too"), locked(tmp_path / "run"):
            pytest.fail("went on")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_cannot_be_made_as_there_is_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(FULL))
    with pytest.raises(ResourceError, match=r"run: cannot be written \(No space left"), locked(tmp_path / "run"):
        pytest.fail("went on")


@needs_full
def test_a_report_names_the_file_that_could_not_be_written(tmp_path, meets, capsys, monkeypatch):
    monkeypatch.setattr(report, "results_as_json", lambda *_: {})
    always_full(tmp_path / "evaluation.json")
    with pytest.raises(OSError, match="No space left") as caught:
        report.save_report(tmp_path, {}, {})
    assert meets(caught.value) == 4
    assert f"error: {tmp_path / 'evaluation.json'}: No space left on device" in capsys.readouterr().err


@needs_full
def test_a_comparison_names_the_file_that_could_not_be_written(tmp_path, monkeypatch):
    nothing = Comparison(images=[], sources=[], timed=[], device="", results={}, metrics=None)
    monkeypatch.setattr(comparison_report, "comparison_as_json", lambda *_: {})
    monkeypatch.setattr(comparison_report, "summary", lambda *_: "")
    monkeypatch.setattr(comparison_report, "_page", lambda *_: "")
    monkeypatch.setattr(comparison_report, "image_grid", lambda *_: embedded.np.zeros((4, 4, 3), embedded.np.uint8))
    always_full(tmp_path / "compare.md")
    with pytest.raises(OSError, match="No space left") as caught:
        comparison_report.save_comparison(tmp_path, nothing, {})
    assert caught.value.filename == str(tmp_path / "compare.md")


def test_the_best_weights_name_their_file(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_release(tmp_path / "best.safetensors", {"G.weight": torch.ones(5000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "best.safetensors"))


@needs_full
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "bmp"])
def test_a_picture_names_itself(tmp_path, kind):
    path = always_full(tmp_path / f"picture.{kind}")
    with pytest.raises(OSError, match="No space left") as caught:
        write_picture(path, embedded.np.zeros((300, 300, 3), embedded.np.uint8))
    assert caught.value.filename == str(path)


@needs_full
def test_a_recipe_that_cannot_be_saved(tmp_path, monkeypatch, capsys):
    two_sides(tmp_path, 6, size=64)
    monkeypatch.chdir(tmp_path)
    recipe = Path("runs") / "summer2winter" / "recipe.yaml"
    always_full(recipe.with_name("recipe.yaml.partial"))
    assert main(["train", "--x", "summer", "--y", "winter"]) == 4
    assert capsys.readouterr().err == (
        f"error: {recipe}: No space left on device; make room there, or take a disk that can be written, "
        "and give the same command again\n"
    )


def test_an_embedded_domain_that_finds_no_room(tmp_path, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path))
    monkeypatch.setattr("cyclegan.data.cards.DATASETS", tmp_path / "none")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space") as caught:
        embedded.make("tint", tmp_path / "photo2tint", "0" * 64)
    assert caught.value.filename.endswith(".png")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_finds_no_room_is_not_called_damaged(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    with pytest.raises(ResourceError, match=r"out: cannot be written \(No space left"):
        archive.unpack(write_zip(tmp_path / "fruit.zip", GOOD), tmp_path / "out")


def test_a_download_that_finds_no_room_asks_no_other_mirror(tmp_path, monkeypatch):
    asked = []

    def full(url: str, *_: object) -> None:
        asked.append(url)
        raise FULL

    monkeypatch.setattr(fetch, "_receive", full)
    known = Archive(urls=("https://one/a.zip", "https://two/a.zip"), bytes=3, sha256=hashlib.sha256(b"abc").hexdigest())
    counts = dict.fromkeys(("trainA", "trainB", "testA", "testB"), 1)
    sides = {"A": "apple", "B": "pear"}
    card = Card(name="fruit", title="", license="", source="", sides=sides, counts=counts, archive=known)
    with pytest.raises(ResourceError, match=r"fruit\.zip\.part: cannot be written"):
        fetch.fetch(card, tmp_path / "fruit")
    assert asked == ["https://one/a.zip"]


@pytest.mark.parametrize("verb", ["train", "show"])
def test_a_device_that_is_not_here_is_a_line(verb, tmp_path, monkeypatch, capsys):
    two_sides(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    data = "{x: summer, y: winter, load_size: null, crop_size: 32}"
    settings = f"name: a\ndata: {data}\ntraining: {{steps: 1, device: cuda}}\n"
    Path("a.yaml").write_text(settings, encoding="utf-8")
    assert main([verb, "a.yaml"]) == (2 if verb == "train" else 0)
    said = capsys.readouterr()
    before, where = ("error: ", said.err) if verb == "train" else ("# no forecast: ", said.out)
    assert f"{before}training.device: no CUDA device here; use cpu or auto" in where.splitlines()
    assert not Path("runs").exists()
