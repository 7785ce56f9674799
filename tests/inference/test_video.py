"""Films: in with their time stamps and their sound, out the same, translated without the flicker of instance norms."""

import builtins
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.cli import main
from cyclegan.errors import NoSpaceError, UserError
from cyclegan.images import from_bytes, read
from cyclegan.inference.film import evenly, steadied, translate_all
from cyclegan.inference.flicker import Flicker
from cyclegan.inference.load import load
from cyclegan.inference.loaded import Loaded
from cyclegan.inference.options import Options
from cyclegan.inference.tiles import TiledTranslator
from cyclegan.inference.video import Frame, Sink, film_like, read_frames
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.pictures import write_picture

av = pytest.importorskip("av")

RATE = 44_100  # of the sound, a second
Pixels = list[np.ndarray]  # uint8 (h, w, 3) of every frame


def moving_square(count: int = 10, height: int = 32, width: int = 48) -> Pixels:
    """A bright square on noise that stands still."""
    noise = np.random.default_rng(0).integers(60, 120, (height, width, 3), dtype=np.uint8)
    frames = [noise.copy() for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[8:20, 2 * i : 2 * i + 12] = (250, 220, 40)
    return frames


def add_sound(container, seconds: float, codec: str = "aac"):
    """A tone of two seconds and less, in the codec."""
    stream = container.add_stream(codec, rate=RATE, layout="mono")
    time = np.arange(int(seconds * RATE)) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    samples = (32767 * tone).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    return [*stream.encode(frame), *stream.encode(None)]


def film(path: Path, frames: Pixels, *, rate=Fraction(25), starts=None, sound=None, turn=0, **settings) -> Path:
    """A film file, of high quality; `starts` in thousandths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2] if frames else (32, 48)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(settings.pop("codec", "libx264"), rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.options = {"crf": "4"}
        if turn:
            stream.set_display_rotation(turn)
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if starts:
            stream.codec_context.time_base = Fraction(1, 1000)
        packets = add_sound(container, len(frames) / rate, sound) if sound else []
        for i, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
                format=stream.pix_fmt,
                dst_colorspace=settings.get("colorspace"),
                dst_color_range=settings.get("color_range"),
            )
            picture.pts, picture.time_base = (starts[i], Fraction(1, 1000)) if starts else (i, 1 / rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        container.mux(packets)
    return path


def decoded(path: Path) -> Pixels:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.dts is not None]
        return [(round(float(packet.pts * packet.time_base), 4), bytes(packet)) for packet in packets]


@pytest.fixture
def painter(run) -> Loaded:
    return load(run.folder, device="cpu")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def source(tmp_path) -> Path:
    return film(tmp_path / "film.mp4", moving_square(), sound="aac")


def difference(ones: Pixels, others: Pixels) -> float:
    assert len(ones) == len(others)
    return float(np.mean([np.abs(one.astype(int) - other).mean() for one, other in zip(ones, others, strict=True)]))


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


def test_a_film_that_was_turned_is_translated_upright(painter, tmp_path, out):
    frame = np.zeros((32, 48, 3), dtype=np.uint8)
    frame[:16, :16] = 255  # above left
    source = film(tmp_path / "turned.mp4", [frame] * 3, turn=-90)  # to be shown turned to the right
    translate_all(painter, [source], out, how=Options(strength=0.0))
    made = decoded(out / "turned.mp4")[0].astype(int)
    assert made.shape == (48, 32, 3)
    assert made[:16, 16:].mean() > 240  # above right
    assert made[:16, :14].mean() < 15


def test_pixels_that_are_no_squares_stay_none(painter, tmp_path, out):
    source = film(tmp_path / "dv.mkv", moving_square(), sample_aspect_ratio=Fraction(4, 3))
    translate_all(painter, [source], out)
    with av.open(str(out / "dv.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


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
    with pytest.raises(NoSpaceError, match=r"film\.mp4: cannot be written"), film_like(source, target, (32, 48), ""):
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
    write = Sink.write

    def counted(path):
        nonlocal on_the_way, most
        for frame in read_frames(path):
            on_the_way += 1
            most = max(most, on_the_way)
            yield frame

    def writing(self, frame):
        nonlocal on_the_way
        time.sleep(0.02)  # slower than what comes
        write(self, frame)
        on_the_way -= 1

    monkeypatch.setattr(Sink, "write", writing)
    monkeypatch.setattr("cyclegan.inference.film.steadied", lambda *arguments: Same())
    monkeypatch.setattr("cyclegan.inference.film.evenly", lambda frames: [from_bytes(moving_square(1)[0])])
    monkeypatch.setattr("cyclegan.inference.film.read_frames", counted)
    translate_all(painter, [source], out)
    assert most <= 6
    assert len(decoded(out / "long.mp4")) == 40


@given(count=st.integers(0, 300), most=st.integers(1, 9))
def test_a_sample_is_evenly_spaced(count, most):
    sample = evenly(iter(range(count)), most)
    steps = set(np.diff(sample))
    assert sample[:1] == [0][:count]
    assert len(steps) <= 1
    assert min(count, (most + 1) // 2) <= len(sample) <= most


def generator(**kind) -> NetworkTranslator:
    """Random weights of a size that makes every layer matter."""
    torch.manual_seed(0)
    network = ResnetGenerator(base_channels=4, blocks=1, **kind).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
    return NetworkTranslator(network, network.stride)


def images(frames: Pixels) -> list[torch.Tensor]:
    return [from_bytes(frame) for frame in frames]


def flicker_of(translator, frames: Pixels) -> float | None:
    flicker = Flicker()
    for image in images(frames):
        flicker(image, translator.translate(image))
    return flicker.score


def getting_brighter(count: int = 12) -> Pixels:
    """By two levels a frame."""
    noise = np.random.default_rng(0).integers(60, 120, (32, 48, 3), dtype=np.uint8)
    return [noise + np.uint8(2 * i) for i in range(count)]


def entering_object(count: int = 12, width: int = 160) -> Pixels:
    """From the right, into a picture that stands still."""
    frames = [np.random.default_rng(0).integers(60, 120, (32, width, 3), dtype=np.uint8) for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[4:28, width - 2 * i :] = (250, 240, 20)
    return frames


def test_fixed_statistics_flicker_less_when_an_object_enters():
    frames, translator = entering_object(), generator()
    fixed = steadied(translator, evenly(images(frames)), Path("film"))
    by_frame, steady = flicker_of(translator, frames), flicker_of(fixed, frames)
    assert by_frame > 1
    assert steady < 0.5 * by_frame


def test_what_is_far_from_the_object_does_not_move_at_all():
    frames, translator = entering_object(), generator()
    fixed = steadied(translator, evenly(images(frames)), Path("film"))
    for one, moves in ((fixed, False), (translator, True)):
        lefts = [one.translate(image)[..., :40] for image in (images(frames)[0], images(frames)[-1])]
        assert torch.allclose(*lefts, atol=1e-6) != moves


def test_a_frame_is_translated_by_its_pixels_alone():
    frames = images(moving_square())
    fixed = steadied(generator(), evenly(frames), Path("film"))
    together = fixed.translate(torch.cat(frames))
    assert torch.allclose(together[4:5], fixed.translate(frames[4]), atol=1e-5)


def test_the_statistics_of_a_still_film_are_those_of_its_picture():
    image, translator = images(moving_square(1))[0], generator()
    fixed = steadied(translator, [image] * 5, Path("film"))
    assert torch.allclose(fixed.translate(image), translator.translate(image), atol=1e-4)


def test_the_variance_over_frames_has_the_part_between_them():
    """Of a layer that sees two frames of one color each: the mean is that of both, the variance that of their means."""
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1, bias=False), torch.nn.InstanceNorm2d(3))
    with torch.no_grad():
        layer[0].weight.copy_(torch.eye(3)[..., None, None])
    dark, bright = torch.full((1, 3, 16, 16), -0.5), torch.full((1, 3, 16, 16), 0.7)
    fixed = steadied(NetworkTranslator(layer, 1), [dark, bright], Path("film"))
    assert torch.allclose(fixed.translate(dark), torch.full_like(dark, -1.0), atol=1e-3)
    assert torch.allclose(fixed.translate(bright), torch.full_like(dark, 1.0), atol=1e-3)


def test_statistics_are_gathered_in_tiles_where_memory_is_short(monkeypatch):
    frames, translator = images(moving_square(3, 64, 96)), generator()
    expected = steadied(translator, frames, Path("film")).translate(frames[0])
    in_tiles, tried = TiledTranslator.fixed, []

    def small_tiles_only(self, sample):
        tried.append(self.side)
        if self.side > 150:
            raise RuntimeError("CUDA out of memory")
        return in_tiles(self, sample)

    monkeypatch.setattr(TiledTranslator, "fixed", small_tiles_only)
    assert torch.allclose(steadied(translator, frames, Path("film")).translate(frames[0]), expected, atol=1e-4)
    assert len(tried) > 1


def test_networks_without_norms_have_nothing_to_be_fixed():
    translator = generator(norm="none")
    assert steadied(translator, images(moving_square()), Path("film")) is translator


class Same:
    def translate(self, images):
        return images


def test_a_copy_of_a_still_film_does_not_flicker():
    assert flicker_of(Same(), moving_square(1) * 5) == 0


def test_a_copy_of_any_film_has_three_levels_at_most():
    assert flicker_of(Same(), getting_brighter()) == pytest.approx(2, abs=1e-3)


def test_the_score_is_how_far_still_pixels_move():
    still, flicker = moving_square(1)[0], Flicker()
    for level in (100, 110, 100, 110):
        flicker(from_bytes(still), from_bytes(np.full_like(still, level)))
    assert flicker.score == pytest.approx(10, abs=1e-3)


def test_what_moves_in_the_film_may_move_in_its_translation():
    assert flicker_of(Same(), moving_square()) == 0
    moving = [np.full((32, 48, 3), level, dtype=np.uint8) for level in (0, 100, 200)]
    assert flicker_of(Same(), moving) is None


def test_the_score_of_batches_is_that_of_single_frames():
    frames, translator = entering_object(), generator()
    batch, flicker = torch.cat(images(frames)), Flicker()
    for part in batch.split(5):
        flicker(part, torch.cat([translator.translate(image) for image in part.split(1)]))
    assert flicker.score == pytest.approx(flicker_of(translator, frames))


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
    fixed = steadied(painter.translator(), evenly(images(frames)), folder)
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
    monkeypatch.setattr(Sink, "write", lambda self, frame: written.append(frame.image))
    translate_all(painter, [source], out)
    translate_all(painter, [source], out, how=how)
    assert len(written) == 20
    assert torch.allclose(torch.cat(written[:10]), torch.cat(written[10:]), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"how": Options(bits=16)}, "--bits: .*8 bits a channel"),
        ({"how": Options(every=2)}, "--every: this model paints in one go"),
        ({"frames": True}, "--frames: .* is no folder"),
    ],
    ids=str,
)
def test_options_that_mean_nothing_for_a_film_are_refused(painter, source, out, options, said):
    with pytest.raises(UserError, match=said):
        translate_all(painter, [source], out, **options)


GATYS = "name: gatys\nweights: random\ncontent_layers: {relu1_1: 1.0}\nstyle_layers: {relu1_1: 1.0}\nsteps: 1\n"
ADAIN = "name: adain\nencoder: random\nprecision: float32\n"


@pytest.fixture
def style(tmp_path) -> Path:
    write_picture(tmp_path / "style.png", moving_square(1)[0][::-1])
    return tmp_path / "style.png"


def test_adain_paints_films_and_gatys_says_that_it_does_not(source, style, tmp_path, out, capsys):
    for name, yaml in (("gatys", GATYS), ("adain", ADAIN)):
        (tmp_path / f"{name}.yaml").write_text(yaml)

    def command(name: str) -> int:
        return main(
            ["translate", str(tmp_path / f"{name}.yaml"), str(source), "--style", str(style), "--out", str(out)]
        )

    assert command("gatys") == 2
    assert "optimizes each frame by itself" in capsys.readouterr().err
    assert command("adain") == 0
    assert len(decoded(out / "film.mp4")) == 10
