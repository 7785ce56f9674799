"""Films that are cut off or damaged: what is there is translated, what is missing is said."""

from pathlib import Path

import numpy as np
import pytest
from films import Pixels, av, copied, film, moving_square, times

from cyclegan.cli import main
from cyclegan.translate.video_files import read_frames
from cyclegan.translate.video_writer import VideoWriter


def noise(count: int = 40) -> Pixels:
    """Frames that are equally large in a file, so that half of it is half of them."""
    return list(np.random.default_rng(0).integers(0, 255, (count, 32, 48, 3), dtype=np.uint8))


def cut(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


INDEX_FIRST = {"movflags": "faststart"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("film.mkv", {}),
        ("film.mkv", {"sound": "aac"}),
        ("film.webm", {"codec": "libvpx-vp9"}),
        ("film.flv", {}),
        ("film.avi", {"codec": "mpeg4"}),
        ("film.mp4", {"options": INDEX_FIRST}),
        ("film.mov", {"options": INDEX_FIRST, "sound": "aac"}),
    ],
    ids=str,
)
def test_a_film_that_ends_before_its_declared_end_is_damaged_and_a_whole_one_is_not(tmp_path, name, settings):
    source = film(tmp_path / name, noise(), **settings)
    found, _ = copied(source, tmp_path / "whole.mp4")
    assert (found.missing, found.notes, found.frames) == (None, [], 40)
    found, _ = copied(cut(source), tmp_path / "part.mp4")
    assert 5 < found.frames < 35
    assert len(times(tmp_path / "part.mp4")) == found.frames
    assert "that it declares" in found.missing
    assert "sound" in settings or f"; {found.frames} of about 40 frames" in found.missing


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("live.mkv", {"live": "1"}),
        ("live.flv", {"flvflags": "no_duration_filesize"}),
        ("live.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("live.ts", {}),
    ],
)
def test_a_live_recording_that_declares_no_end_is_not_damaged(tmp_path, name, options):
    found, _ = copied(film(tmp_path / name, noise(), options=options), tmp_path / "out.mp4")
    assert (found.missing, found.frames) == (None, 40)


@pytest.mark.parametrize("longer", ["sound", "video"])
def test_a_film_whose_sound_is_longer_or_shorter_is_not_damaged(tmp_path, longer):
    rate = 25 if longer == "video" else 10
    for name in ("film.mkv", "film.mp4", "film.flv"):
        sounds = [{"start": 0.8 if longer == "sound" else 0}]
        found, _ = copied(film(tmp_path / name, moving_square(10), rate=rate, sounds=sounds), tmp_path / "out.mp4")
        assert found.missing is None


@pytest.mark.parametrize("sound", ["libmp3lame", "aac"])
@pytest.mark.parametrize("name", ["film.mkv", "film.ts", "film.avi", "film.mp4"])
def test_packets_that_are_damaged_are_counted_and_the_rest_is_translated(tmp_path, name, sound):
    source = film(tmp_path / name, noise(), codec="libx264" if name != "film.avi" else "mpeg4", sound=sound)
    content = bytearray(source.read_bytes())
    for place in range(int(0.45 * len(content)), int(0.55 * len(content)), 97):
        content[place] ^= 255
    source.write_bytes(content)
    found, _ = copied(source, tmp_path / "out.mp4")
    assert found.damaged > 0
    assert 10 < found.frames <= 40
    assert len(times(tmp_path / "out.mp4")) == found.frames
    said = f"packets that could not be decoded: {found.damaged}; frames translated: {found.frames}"
    assert found.notes == [f"damaged: {said}"]


def test_damaged_packets_of_sound_are_left_out_and_counted(tmp_path):
    source = film(tmp_path / "film.ts", moving_square(40), sound="aac")
    start = b"\xff\xf1"  # of a packet of AAC in a transport stream
    whole, *others = source.read_bytes().split(start)
    source.write_bytes(start.join([whole, *others[:4]]) + b"\xff\x00" + b"\xff\x00".join(others[4:]))
    found, writer = copied(source, tmp_path / "out.mp4")
    assert writer.damaged > 0
    assert writer.notes == [f"damaged: packets of sound or subtitles that were left out: {writer.damaged}"]
    assert found.frames == len(times(tmp_path / "out.mp4")) == 40


def test_a_cut_film_is_named_and_what_is_there_is_written_and_the_others_are_done(run, tmp_path, source, out, capsys):
    half = cut(film(tmp_path / "half.mkv", noise()))
    assert main(["translate", str(run.folder), str(half), str(source), "--out", str(out)]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"error: {half}: damaged: it ends at ")
    assert line.endswith(f" of about 40 frames could be read and are in {out / 'half.mp4'}; replace it by a whole one")
    assert "1 of 2 files translated" in said.out
    assert {path.name for path in out.iterdir()} == {"half.mp4", "film.mp4"}


def test_a_film_that_ffmpeg_cannot_write_is_named_and_the_others_are_done(
    run, tmp_path, source, out, capsys, monkeypatch
):
    odd, write = film(tmp_path / "odd.mkv", moving_square(3)), VideoWriter.write

    def refuse(self, frame):
        if self.container.name.endswith("odd.mp4.partial"):
            raise av.error.ArgumentError(22, "Invalid argument")
        write(self, frame)

    monkeypatch.setattr(VideoWriter, "write", refuse)
    assert main(["translate", str(run.folder), str(odd), str(source), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    said = "FFmpeg cannot write it as .mp4 (Invalid argument); give its frames as pictures, with --frames"
    assert line == f"error: {odd}: {said}"
    assert [path.name for path in out.iterdir()] == ["film.mp4"]


def test_a_film_that_does_not_exist_is_said_so(tmp_path):
    with pytest.raises(Exception, match=r"gone\.mp4: does not exist"):
        next(read_frames(tmp_path / "gone.mp4"))
