"""Films: how long their frames are shown, when they begin, and that sound stays in step."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from films import av, copied, duration, film, moving_square, times
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.translate.video_writer import Clock

STARTS = [0, 33, 66, 100, 1500, 6000]


@pytest.mark.parametrize(
    ("name", "b_frames"),
    [(f"screen.{kind}", 0) for kind in ("mkv", "mp4", "mov", "flv")] + [("screen.mkv", 2), ("screen.flv", 2)],
)
def test_each_frame_of_a_variable_rate_is_shown_as_long_as_in_the_source(tmp_path, name, b_frames):
    source = film(tmp_path / name, moving_square(6), starts=STARTS, last=1000, max_b_frames=b_frames)
    copied(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx([start / 1000 for start in STARTS], abs=2e-3)
    assert duration(tmp_path / "out.mp4") == pytest.approx(7, abs=2e-3)


def test_with_sound_the_last_frame_is_shown_as_long_too(tmp_path):
    source = film(tmp_path / "film.mkv", moving_square(6), starts=STARTS, last=1000, sound="aac")
    copied(source, tmp_path / "out.mp4")
    assert duration(tmp_path / "out.mp4") == pytest.approx(7, abs=2e-3)


@pytest.mark.parametrize("without", [set(), {"libx264"}])
def test_a_film_of_one_frame_lasts_as_long_as_it(tmp_path, monkeypatch, without):
    source = film(tmp_path / "one.mp4", moving_square(1), starts=[0], last=800)
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - without)
    copied(source, tmp_path / "out.mp4")
    assert duration(tmp_path / "out.mp4") == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("late.mkv", {"starts": [3_600_000 + 40 * i for i in range(10)]}),
        ("late.ts", {}),
        ("late.mts", {"codec": "mpeg2video"}),
        ("late.m2ts", {"options": {"output_ts_offset": "3600"}}),
        ("late.mpg", {"codec": "mpeg2video", "options": {"output_ts_offset": "3600"}}),
        ("late.mp4", {"starts": [2000 + 40 * i for i in range(10)]}),
        ("late.3gp", {}),
        ("late.mxf", {"codec": "mpeg2video"}),
        ("late.wmv", {"codec": "wmv2"}),
        ("b-frames.avi", {"max_b_frames": 3}),
        ("b-frames.divx.avi", {"codec": "mpeg4", "max_b_frames": 2}),
    ],
    ids=str,
)
def test_films_start_at_zero_whatever_their_clock_says(tmp_path, name, settings):
    copied(film(tmp_path / name, moving_square(10), **settings), tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx([0.04 * i for i in range(10)], abs=2e-3)
    assert duration(tmp_path / "out.mp4") == pytest.approx(0.4, abs=2e-3)


def first_packets(path: Path) -> dict[str, float]:
    """When the first one of each stream is shown, in seconds."""
    with av.open(str(path)) as container:
        packets = [(p.stream.type, float(p.pts * p.time_base)) for p in container.demux() if p.pts is not None]
    return {kind: min(start for other, start in packets if other == kind) for kind in ("audio", "video")}


@pytest.mark.parametrize("late", [0.0, 0.2])
@pytest.mark.parametrize("name", ["film.mkv", "film.ts", "film.mp4", "film.mov", "film.flv"])
def test_sound_stays_in_step(tmp_path, name, late):
    source = film(tmp_path / name, moving_square(10), sounds=[{"start": late}])
    copied(source, tmp_path / "out.mp4")
    given, made = first_packets(source), first_packets(tmp_path / "out.mp4")
    assert made["audio"] - made["video"] == pytest.approx(given["audio"] - given["video"], abs=2e-3)
    assert min(made.values()) == pytest.approx(0, abs=0.025)  # as the first packet of AAC comes before 0


def with_equal_stamps(path: Path) -> Path:
    """Two frames at 80 ms."""
    given = film(path.with_name("given.mkv"), moving_square(6), codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(given)) as original, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(original.streams.video[0])
        packets = [packet for packet in original.demux() if packet.size]
        for packet, start in zip(packets, [0, 40, 80, 80, 120, 160], strict=True):
            packet.stream, packet.pts, packet.dts = stream, start, start
            container.mux(packet)
    return path


def test_time_stamps_that_do_not_rise_are_made_to(tmp_path):
    _, writer = copied(with_equal_stamps(tmp_path / "twice.mkv"), tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx([0, 0.04, 0.08, 0.081, 0.12, 0.16], abs=1e-4)
    assert writer.notes == ["time stamps that did not rise and were moved: 1"]


def test_a_film_without_time_stamps_has_those_of_its_rate(tmp_path):
    with av.open(str(film(tmp_path / "film.mp4", moving_square(10)))) as container:
        stream = container.streams.video[0]
        bits = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [bytes(part) for packet in container.demux(stream) for part in bits.filter(packet)]
    (tmp_path / "bare.h264").write_bytes(b"".join(packets))
    copied(tmp_path / "bare.h264", tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == pytest.approx([0.04 * i for i in range(10)], abs=1e-4)


def test_two_recordings_joined_into_one_go_on_after_each_other(tmp_path):
    parts = [
        film(tmp_path / f"{i}.ts", moving_square(60), sound="aac", codec="mpeg2video").read_bytes() for i in (0, 1)
    ]
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    copied(tmp_path / "joined.ts", tmp_path / "out.mp4")
    assert duration(tmp_path / "out.mp4") == pytest.approx(4.8, abs=0.1)
    assert times(tmp_path / "out.mp4", "audio")[-1] == pytest.approx(4.8, abs=0.1)


@given(
    starts=st.lists(st.fractions(0, 100, max_denominator=1000), max_size=20),
    tick=st.fractions(Fraction(1, 90_000), 1),
)
def test_a_clock_always_rises(starts, tick):
    clock = Clock(tick, Fraction(0), last=-1)
    ticks = [clock(start, tick) for start in starts]
    assert all(one < other for one, other in pairwise([-1, *ticks]))


@given(
    steps=st.sets(st.integers(0, 1000)), tick=st.fractions(Fraction(1, 90_000), 1), origin=st.fractions(-100, 10_000)
)
def test_a_clock_keeps_what_rises_already(steps, tick, origin):
    clock = Clock(tick, origin, last=-1)
    assert [clock(origin + step * tick, tick) for step in sorted(steps)] == sorted(steps)
    assert clock.moved == 0
