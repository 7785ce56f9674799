"""Films: what they show, files of them, and what is in a file."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan.images.tensors import from_bytes
from cyclegan.translate.video_files import read_frames
from cyclegan.translate.video_findings import Findings
from cyclegan.translate.video_writer import VideoWriter, film_like

av = pytest.importorskip("av")
from av.codec.context import Flags  # noqa: E402

RATE = 44_100  # of the sound, a second
Pixels = list[np.ndarray]  # uint8 (h, w, 3) of every frame


def moving_square(count: int = 10, height: int = 32, width: int = 48) -> Pixels:
    """A bright square on noise that stands still."""
    noise = np.random.default_rng(0).integers(60, 120, (height, width, 3), dtype=np.uint8)
    frames = [noise.copy() for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[8:20, 2 * i : 2 * i + 12] = (250, 220, 40)
    return frames


def add_sound(container, seconds: float, codec: str = "aac", start: float = 0, **about: str):
    """A tone of two seconds and less, in the codec; `about`: language, title."""
    stream = container.add_stream(codec, rate=RATE, layout="mono")
    stream.metadata.update(about)
    time = np.arange(int(seconds * RATE)) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    samples = (32767 * tone).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, int(start * RATE), Fraction(1, RATE)
    return [*stream.encode(frame), *stream.encode(None)]


def film(
    path: Path,
    frames: Pixels,
    *,
    rate=Fraction(25),
    starts=None,
    last=None,
    sound=None,
    sounds=(),
    matrix=None,
    options=None,
    about=None,
    chapters=(),
    **settings,
) -> Path:
    """A film file, of high quality.

    starts   in thousandths of a second; `last`: for how many of them the last frame is shown
    sounds   arguments of add_sound, for each
    about    metadata of the file
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(rate)
    height, width = frames[0].shape[:2] if frames else (32, 48)
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(about or {})
        container.set_chapters(list(chapters))
        stream = container.add_stream(settings.pop("codec", "libx264"), rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.options = {"crf": "4", "b": "2M", "auto-alt-ref": "0"}
        stream.set_display_matrix(matrix)
        stream.metadata.update(settings.pop("metadata", {}))
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if starts:
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.codec_context.flags |= Flags.frame_duration
        sounds = [{"codec": sound}] if sound else sounds
        tracks = [add_sound(container, len(frames) / rate, **track) for track in sounds]
        for i, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24" if pixels.shape[2] == 3 else "rgba").reformat(
                format=stream.pix_fmt,
                dst_colorspace=settings.get("colorspace"),
                dst_color_range=settings.get("color_range"),
            )
            picture.pts, picture.time_base = (starts[i], Fraction(1, 1000)) if starts else (i, 1 / rate)
            if starts:
                ends = [*starts[1:], starts[-1] + (last or 40)]
                picture.duration = max(ends[i] - starts[i], 1)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        for packets in tracks:
            container.mux(packets)
    return path


def copied(source: Path, target: Path) -> tuple[Findings, VideoWriter]:
    """Read, and written as it is."""
    found = Findings()
    frames = list(read_frames(source, found))
    with film_like(source, target, frames[0], "") as writer:
        for frame in frames:
            writer.write(frame)
    return found, writer


def times(path: Path, kind: str = "video") -> list[float]:
    """Of every frame, in seconds."""
    with av.open(str(path)) as container:
        (stream, *_) = (stream for stream in container.streams if stream.type == kind)
        return [float(frame.pts * frame.time_base) for frame in container.decode(stream)]


def duration(path: Path) -> float:
    """Of the video, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def decoded(path: Path) -> Pixels:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def difference(ones: Pixels, others: Pixels) -> float:
    assert len(ones) == len(others)
    return float(np.mean([np.abs(one.astype(int) - other).mean() for one, other in zip(ones, others, strict=True)]))


def images(frames: Pixels) -> list[torch.Tensor]:
    return [from_bytes(frame) for frame in frames]


def entering_object(count: int = 12, width: int = 160) -> Pixels:
    """From the right, into a picture that stands still."""
    frames = [np.random.default_rng(0).integers(60, 120, (32, width, 3), dtype=np.uint8) for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[4:28, width - 2 * i :] = (250, 240, 20)
    return frames


class Same:
    """Translates nothing."""

    def translate(self, images):
        return images
