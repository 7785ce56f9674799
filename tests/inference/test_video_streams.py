"""Films: sounds, subtitles, titles, chapters, covers: kept, or said to be left out."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import av, copied, decoded, film, moving_square

SOUNDS = [{"language": "eng", "title": "original"}, {"language": "deu", "title": "synchronized"}]


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.mov"])
def test_every_sound_is_kept_with_its_language_and_the_titles(tmp_path, name):
    about = {"title": "My holiday", "artist": "me", "comment": "sunny"}
    source = film(tmp_path / name, moving_square(5), sounds=SOUNDS, about=about, metadata={"language": "fra"})
    copied(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        with av.open(str(source)) as given:
            languages = [stream.language or "und" for stream in given.streams]  # .mov knows fewer
        assert [stream.language for stream in made.streams] == languages
        assert languages[:2] == ["fra", "eng"]
        assert about.items() <= made.metadata.items()
        titles = [sound.metadata["handler_name"] for sound in made.streams.audio]
    assert name != "film.mkv" or titles == ["original", "synchronized"]


def test_a_comment_says_how_a_film_was_made_and_what_the_source_said(painter, tmp_path):
    from cyclegan.translate.video import translate_all

    source = film(tmp_path / "film.mkv", moving_square(3), about={"comment": "sunny"})
    translate_all(painter, [source], tmp_path / "out")
    with av.open(str(tmp_path / "out" / "film.mp4")) as made:
        assert made.metadata["comment"] == f"{painter.signature}\nsunny"


@pytest.mark.parametrize(("name", "codec"), [("film.mkv", "ac3"), ("film.ts", "mp2"), ("film.mkv", "flac")])
def test_sounds_of_other_codecs_that_an_mp4_holds_are_kept(tmp_path, name, codec):
    track = {"codec": codec}
    _, writer = copied(film(tmp_path / name, moving_square(10), sounds=[track]), tmp_path / "out.mp4")
    assert writer.left_out == []
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert sum(frame.samples for frame in made.decode(audio=0)) > 10_000


def test_chapters_are_kept_and_shifted_with_the_film(tmp_path):
    chapters = [
        {"id": i, "start": start, "end": start + 400, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
        for i, (start, title) in enumerate([(5000, "away"), (5400, "home")])
    ]
    starts = [5000 + 40 * i for i in range(20)]
    source = film(tmp_path / "film.mkv", moving_square(20), starts=starts, chapters=chapters)
    copied(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        kept = [(float(c["start"] * c["time_base"]), c["metadata"]["title"]) for c in made.chapters()]
    assert kept == [(0.0, "away"), (0.4, "home")]
    assert copied(tmp_path / "out.mp4", tmp_path / "again.mp4")[1].left_out == []


def with_others(path: Path, codec: str, text: bytes) -> Path:
    """A film with a subtitle of a second, and in .mkv a cover and a font."""
    given = film(path.with_name(f"plain{path.suffix}"), moving_square(30), sound="aac")
    with av.open(str(given)) as original, av.open(str(path), "w") as container:
        copies = {stream: container.add_stream_from_template(stream) for stream in original.streams}
        subtitles = container.add_mux_stream(codec, time_base=Fraction(1, 1000))
        subtitles.metadata["language"] = "fra"
        if path.suffix == ".mkv":
            container.add_attachment("font.ttf", "application/x-truetype-font", b"font")
        line = av.Packet(text)
        line.stream, line.time_base, line.pts, line.dts, line.duration = subtitles, Fraction(1, 1000), 100, 100, 1000
        container.mux(line)
        for packet in original.demux():
            if packet.size:
                packet.stream = copies[packet.stream]
                container.mux(packet)
    return path


def test_subtitles_that_an_mp4_holds_are_kept(tmp_path):
    source = with_others(tmp_path / "film.mp4", "mov_text", b"\x00\x05Hello")
    _, writer = copied(source, tmp_path / "out.mp4")
    assert writer.notes == []
    with av.open(str(tmp_path / "out.mp4")) as made:
        (text,) = made.streams.subtitles
        (line,) = (packet for packet in made.demux(text) if packet.size > 2)
        assert (text.language, bytes(line)[2:7]) == ("fra", b"Hello")
        assert float(line.pts * line.time_base) == pytest.approx(0.1, abs=2e-3)


def test_what_an_mp4_does_not_hold_is_said(tmp_path):
    source = with_others(tmp_path / "film.mkv", "subrip", b"Hello")
    _, writer = copied(source, tmp_path / "out.mp4")
    assert writer.notes == [
        "its subtitles (subrip) does not go into an .mp4 and was left out",
        "its attachment (font.ttf) does not go into an .mp4 and was left out",
    ]


def test_a_cover_is_not_taken_for_the_film(tmp_path):
    given = film(tmp_path / "given.mp4", moving_square(5))
    cover = film(tmp_path / "cover.mov", [np.zeros((16, 16, 3), np.uint8)], codec="png", pix_fmt="rgb24")
    with (
        av.open(str(cover)) as front,
        av.open(str(given)) as original,
        av.open(str(tmp_path / "film.mp4"), "w") as container,
    ):
        video = container.add_stream_from_template(original.streams.video[0])
        picture = container.add_stream_from_template(front.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        for stream, packets in ((picture, front.demux()), (video, original.demux())):
            for packet in packets:
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
    _, writer = copied(tmp_path / "film.mp4", tmp_path / "out.mp4")
    assert writer.left_out == ["cover picture (png)"]
    assert [frame.shape for frame in decoded(tmp_path / "out.mp4")] == [(32, 48, 3)] * 5


def test_metadata_that_is_not_utf8_does_not_matter(tmp_path):
    source = film(tmp_path / "film.avi", moving_square(3), codec="mpeg4", about={"title": "Stra*e"})
    source.write_bytes(source.read_bytes().replace(b"Stra*e", b"Stra\xdfe"))
    copied(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.metadata["title"] == "Stra\ufffde"


def test_a_name_that_is_not_utf8_does_not_matter(tmp_path):
    source = film(tmp_path / "film.mp4", moving_square(3))
    odd = source.rename(tmp_path / os.fsdecode(b"Stra\xdfe.mp4"))
    copied(odd, tmp_path / "out" / odd.name)
    assert len(decoded(tmp_path / "out" / odd.name)) == 3
