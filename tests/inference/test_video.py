"""Films: in with their time stamps, their sound and their colors, out the same."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import av, copied, decoded, difference, film, moving_square, times

from cyclegan.translate.options import Options
from cyclegan.translate.video import translate_all
from cyclegan.translate.video_files import Frame, read_frames


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.dts is not None]
        return [(round(float(packet.pts * packet.time_base), 4), bytes(packet)) for packet in packets]


def test_a_film_keeps_its_size_its_rate_and_its_times(painter, source, out):
    report = translate_all(painter, [source], out)
    assert report.done == [out / "film.mp4"]
    assert [frame.shape for frame in decoded(out / "film.mp4")] == [(32, 48, 3)] * 10
    assert times(out / "film.mp4") == times(source)
    with av.open(str(out / "film.mp4")) as made, av.open(str(source)) as given:
        assert made.streams.video[0].average_rate == given.streams.video[0].average_rate == 25
        assert made.streams.video[0].codec_context.name == "h264"
        assert made.metadata["comment"] == painter.signature
    assert difference(decoded(out / "film.mp4"), decoded(source)) > 20  # it is translated


def test_frames_that_come_irregularly_keep_their_times(painter, tmp_path, out):
    starts = [0, 40, 55, 200, 210, 333, 500, 501, 900, 1000]
    source = film(tmp_path / "irregular.mkv", moving_square(), starts=starts)
    translate_all(painter, [source], out)
    assert times(out / "irregular.mp4") == pytest.approx([start / 1000 for start in starts], abs=1e-3)


def test_the_sound_is_copied_to_the_bit(painter, source, out):
    translate_all(painter, [source], out)
    assert len(sound_of(source)) > 10
    assert sound_of(out / "film.mp4") == sound_of(source)


def test_sound_that_an_mp4_cannot_hold_is_left_out_and_that_is_said(painter, tmp_path, out):
    source = film(tmp_path / "old.avi", moving_square(), sound="adpcm_ima_wav", codec="mpeg4")
    report = translate_all(painter, [source], out)
    assert len(decoded(out / "old.mp4")) == 10
    assert any("its sound (adpcm_ima_wav) does not go into an .mp4" in note for note in report.notes)


@pytest.mark.parametrize("without", [set(), {"libx264"}])
@pytest.mark.parametrize("size", [(31, 47), (32, 47), (1, 1), (40, 24)])
def test_any_size_is_kept_by_either_codec(painter, tmp_path, out, monkeypatch, size, without):
    y, x = np.mgrid[: size[0], : size[1]]
    smooth = [np.stack([4 * x + i, 4 * y, 200 - 2 * x - 2 * y], axis=-1).astype(np.uint8) for i in range(4)]
    source = film(tmp_path / "odd.mkv", smooth, codec="ffv1", pix_fmt="bgr0")
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - without)
    translate_all(painter, [source], out, how=Options(strength=0.0))
    made = decoded(out / "odd.mp4")
    assert [frame.shape for frame in made] == [(*size, 3)] * 4
    assert difference(made, decoded(source)) < 4
    with av.open(str(out / "odd.mp4")) as container:
        assert container.streams.video[0].codec_context.name == ("mpeg4" if without else "h264")


@pytest.mark.parametrize(
    "settings",
    [
        {"colorspace": 1, "color_range": 1},
        {"colorspace": 5, "color_range": 1},
        {"colorspace": 1, "color_range": 2},
        {"codec": "ffv1", "pix_fmt": "bgr0"},
        {},
    ],
    ids=str,
)
def test_colors_stay_what_they_are_whatever_the_matrix_and_the_range(painter, tmp_path, out, settings):
    frames = [np.full((32, 48, 3), (200, 40, 90), dtype=np.uint8)] * 3
    source = film(tmp_path / "red.mkv", frames, **settings)
    translate_all(painter, [source], out, how=Options(strength=0.0))
    assert difference([image_of(frame) for frame in read_frames(source)], frames) < 3
    assert difference(decoded(out / "red.mp4"), frames) < 4


def image_of(frame: Frame) -> np.ndarray:
    return ((frame.image[0].permute(1, 2, 0) + 1) * 127.5).round().numpy().astype(np.uint8)


CORNERS = {"above left": (0, 0), "above right": (0, 1), "below left": (1, 0), "below right": (1, 1)}


@pytest.mark.parametrize(
    ("matrix", "corner"),  # where what is above left in the file is shown
    [
        ((1, 0, 0, 1), "above left"),
        ((-1, 0, 0, 1), "above right"),
        ((1, 0, 0, -1), "below left"),
        ((-1, 0, 0, -1), "below right"),
        ((0, 1, 1, 0), "above left"),
        ((0, 1, -1, 0), "above right"),
        ((0, -1, 1, 0), "below left"),
        ((0, -1, -1, 0), "below right"),
    ],
)
def test_turns_and_mirrors_are_applied_together(tmp_path, matrix, corner):
    frame = np.zeros((32, 48, 3), dtype=np.uint8)
    frame[:16, :24] = 255
    a, b, c, d = (65536 * number for number in matrix)
    path, out = tmp_path / "turned.mp4", tmp_path / "out" / "turned.mp4"
    film(path, [frame] * 3, matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30), sample_aspect_ratio=Fraction(4, 3))
    copied(path, out)
    made = decoded(out)[0]
    height, width = made.shape[:2]
    assert (height, width) == ((48, 32) if b else (32, 48))
    brightness = {
        name: made[y * height // 2 :, x * width // 2 :][4:12, 4:12].mean() for name, (y, x) in CORNERS.items()
    }
    assert {name for name, value in brightness.items() if value > 200} == {corner}
    assert sum(value < 50 for value in brightness.values()) == 3
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == (Fraction(3, 4) if b else Fraction(4, 3))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cut.mov", {"codec": "png", "pix_fmt": "rgba"}),
        ("cut.mkv", {"codec": "ffv1", "pix_fmt": "yuva444p"}),
        ("cut.mov", {"codec": "prores_ks", "pix_fmt": "yuva444p10le"}),
        ("cut.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuva420p", "metadata": {"alpha_mode": "1"}}),
        ("cut.webm", {"codec": "libvpx", "pix_fmt": "yuva420p", "metadata": {"alpha_mode": "1"}}),
    ],
    ids=lambda settings: settings["codec"] if isinstance(settings, dict) else settings,
)
@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_alpha_is_laid_on_white_and_its_loss_is_said(tmp_path, name, settings, alpha):
    frame = np.full((32, 48, 4), (200, 40, 200, 255), dtype=np.uint8)
    frame[:, :24, 3] = alpha
    found, _ = copied(film(tmp_path / name, [frame] * 3, **settings), tmp_path / "out.mp4")
    made = decoded(tmp_path / "out.mp4")[1].astype(float)
    expected = 255 + (np.array([200, 40, 200]) - 255) * alpha / 255
    assert np.abs(made[4:-4, 4:20] - expected).max() < 12
    assert np.abs(made[4:-4, 28:-4] - (200, 40, 200)).max() < 12
    assert any("its alpha is lost" in note for note in found.notes) == (alpha < 255)


def test_pixels_that_are_no_squares_stay_none(painter, tmp_path, out):
    source = film(tmp_path / "dv.mkv", moving_square(), sample_aspect_ratio=Fraction(4, 3))
    translate_all(painter, [source], out)
    with av.open(str(out / "dv.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
