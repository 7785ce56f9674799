"""translate with films and folders of frames: as a whole or not at all, in little memory, beside pictures."""

import builtins
import shutil
import time
from pathlib import Path

import pytest
import torch
from films import Pixels, Same, add_sound, av, decoded, entering_object, film, images, moving_square
from little import write_adain, write_gatys

from cyclegan.cli import main
from cyclegan.errors import ResourceError, UserError
from cyclegan.images.rgb8 import write_picture
from cyclegan.images.tensors import read
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.translate.options import Options
from cyclegan.translate.video import evenly, translate_all, with_fixed_norms
from cyclegan.translate.video_files import read_frames
from cyclegan.translate.video_writer import VideoWriter, film_like


def broken(path: Path) -> str:
    path.write_bytes(b"not a film" * 50)
    return "not a readable film"


def cut_off(path: Path) -> str:
    film(path, moving_square())
    path.write_bytes(path.read_bytes()[:600])
    return "not a readable film"


def only_sound(path: Path) -> str:
    with av.open(str(path), "w") as container:
        container.mux(add_sound(container, 0.2))
    return "has no pictures, only sound or data"


def without_frames(path: Path) -> str:
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        container.start_encoding()
    return "has no frames"


@pytest.mark.parametrize("spoil", [broken, cut_off, only_sound, without_frames])
def test_a_bad_film_is_one_line_and_leaves_nothing_and_the_others_are_done(run, tmp_path, source, out, capsys, spoil):
    bad = tmp_path / "bad.mp4"
    said = spoil(bad)
    assert main(["translate", str(run.folder), str(bad), str(source), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {bad}: {said}")
    assert [path.name for path in out.iterdir()] == ["film.mp4"]


def test_films_are_known_by_any_suffix_of_video(painter, tmp_path, out):
    given = film(tmp_path / "given.ts", moving_square(2))
    names = ["a.ts", "b.MTS", "c.m2ts", "d.3gp", "e.3g2", "f.vob", "g.mpe", "h.m2t", "i.f4v", "j.mxf"]
    films = [Path(shutil.copy(given, tmp_path / name)) for name in names]
    report = translate_all(painter, films, out, how=Options(strength=0.0))
    assert report.bad == []
    assert [path.name for path in report.done] == [f"{name[0]}.mp4" for name in names]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_no_half_film_stays_under_the_final_name(painter, source, out, monkeypatch, error):
    calls = []

    def fail_at_the_fourth(self, images):
        calls.append(images)
        if len(calls) == 4:
            raise error
        return images

    monkeypatch.setattr(NetworkTranslator, "translate", fail_at_the_fourth)
    with pytest.raises(type(error)):
        translate_all(painter, [source], out)
    assert list(out.iterdir()) == []


def test_a_full_disk_is_said(painter, source, out):
    target = out / "film.mp4"
    like = next(read_frames(source))
    with pytest.raises(ResourceError, match=r"film\.mp4: cannot be written"), film_like(source, target, like, ""):
        raise OSError(28, "No space left on device")
    assert list(out.iterdir()) == []


def test_without_pyav_the_command_that_brings_it_is_named(run, source, out, capsys, monkeypatch):
    importing = builtins.__import__

    def without_av(name, *arguments, **options):
        if name == "av":
            raise ImportError
        return importing(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_av)
    assert main(["translate", str(run.folder), str(source), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"error: {source}: films need PyAV; pip install -r requirements-video.txt\n"


def test_films_are_no_sources_to_be_lost(painter, source, tmp_path):
    with pytest.raises(UserError, match="would be written over"):
        translate_all(painter, [source], source.parent)
    other = film(tmp_path / "film.mkv", moving_square())
    with pytest.raises(UserError, match="both would become"):
        translate_all(painter, [source, other], tmp_path / "out")


def test_memory_does_not_grow_with_the_length_of_a_film(painter, tmp_path, out, monkeypatch):
    """So many frames are on the way at most: read ahead, worked on, being written."""
    source = film(tmp_path / "long.mp4", moving_square(2) * 20)
    on_the_way = most = 0
    write = VideoWriter.write

    def counted(path, *sample):
        nonlocal on_the_way, most
        for frame in read_frames(path):
            if sample:
                yield frame
                continue
            on_the_way += 1
            most = max(most, on_the_way)
            yield frame

    def writing(self, frame):
        nonlocal on_the_way
        time.sleep(0.02)  # slower than what comes
        write(self, frame)
        on_the_way -= 1

    monkeypatch.setattr(VideoWriter, "write", writing)
    monkeypatch.setattr("cyclegan.translate.video.with_fixed_norms", lambda *arguments: Same())
    monkeypatch.setattr("cyclegan.translate.video.evenly", lambda frames: [next(frames)])
    monkeypatch.setattr("cyclegan.translate.video.read_frames", counted)
    translate_all(painter, [source], out)
    assert most <= 6
    assert len(decoded(out / "long.mp4")) == 40


def test_the_score_is_printed(run, source, out, capsys):
    assert main(["translate", str(run.folder), str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{source}: 10 frames; flicker " in said
    assert "1 of 1 files translated to painting" in said


def save(folder: Path, frames: Pixels, name: str = "frame{}.png") -> Path:
    for i, frame in enumerate(frames):
        write_picture(folder / name.format(i), frame)
    return folder


def test_a_folder_of_frames_is_a_film_in_the_order_of_its_numbers(painter, tmp_path, out, monkeypatch):
    frames = entering_object()
    folder = save(tmp_path / "frames", frames)  # frame10.png would come before frame2.png by its letters
    report = translate_all(painter, [folder], out, frames=True)
    assert [path.name for path in report.done] == [f"frame{i}.png" for i in range(12)]
    fixed = with_fixed_norms(painter.translator(), evenly(images(frames)), folder)
    for i in (0, 11):
        made = read(out / f"frame{i}.png")
        assert (made - fixed.translate(images(frames)[i])).abs().max() < 2 / 255
    assert "12 frames; flicker" in report.notes[0]


def test_a_folder_without_the_option_is_single_pictures(painter, tmp_path, out):
    folder = save(tmp_path / "frames", entering_object(3))
    assert translate_all(painter, [folder], out).notes == []


def test_a_bad_frame_is_named_and_the_others_done(painter, tmp_path, out):
    folder = save(tmp_path / "frames", moving_square(5))
    (folder / "frame0.png").write_text("nothing")
    report = translate_all(painter, [folder], out, frames=True)
    assert len(report.done) == 4
    assert "frame0.png: not a readable picture" in str(report.bad[0])


def test_pictures_and_films_go_together(painter, source, tmp_path, out):
    write_picture(tmp_path / "photo.png", moving_square(1)[0])
    report = translate_all(painter, [tmp_path / "photo.png", source], out)
    assert {path.name for path in report.done} == {"photo.png", "film.mp4"}
    with pytest.raises(UserError, match=r"gone\.png: does not exist"):
        translate_all(painter, [source, tmp_path / "gone.png"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("how", [Options(tile=16), Options(batch=4)], ids=str)
def test_tiles_and_batches_give_the_same_film(painter, source, out, how, monkeypatch):
    written = []
    monkeypatch.setattr(VideoWriter, "write", lambda self, frame: written.append(frame.image))
    translate_all(painter, [source], out)
    translate_all(painter, [source], out, how=how)
    assert len(written) == 20
    assert torch.allclose(torch.cat(written[:10]), torch.cat(written[10:]), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"how": Options(bits=16)}, "--bits: .*8 bits a channel"),
        ({"how": Options(every=2)}, "--every: this model translates in one pass"),
        ({"frames": True}, "--frames: .* is no folder"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_for_a_film_are_refused(painter, source, out, options, said):
    with pytest.raises(UserError, match=said):
        translate_all(painter, [source], out, **options)


@pytest.fixture
def style(tmp_path) -> Path:
    write_picture(tmp_path / "style.png", moving_square(1)[0][::-1])
    return tmp_path / "style.png"


def test_adain_paints_films_and_gatys_says_that_it_does_not(source, style, tmp_path, out, capsys):
    write_gatys(tmp_path, steps=1)
    write_adain(tmp_path)

    def command(name: str) -> int:
        return main(
            ["translate", str(tmp_path / f"{name}.yaml"), str(source), "--style", str(style), "--out", str(out)]
        )

    assert command("gatys") == 2
    assert "optimizes each frame by itself" in capsys.readouterr().err
    assert command("adain") == 0
    assert len(decoded(out / "film.mp4")) == 10
