"""Film files, frame by frame: read with their time stamps, written as .mp4 with those and with the sound. By PyAV.

Reads      what FFmpeg reads, upright: a turn that a telephone has noted is carried out.
Writes     H.264, or MPEG-4 part 2 where FFmpeg was built without it: size, frame rate, time stamps, matrix and shape of
           the pixels as in the source; sound that fits into an .mp4 copied packet by packet; no subtitles. Colors at
           half the resolution, as films have them, but at the whole in H.264 with an odd side, which has no other way
           to keep its size.
Whole      or not at all: it is written under another name first, and a film that turns out damaged leaves nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cyclegan.errors import UserError
from cyclegan.images import from_bytes, to_bytes
from cyclegan.inference.translate import writing
from cyclegan.pictures import BadPictureError
from cyclegan.protocols import Images

if TYPE_CHECKING:
    import av

H264 = {"crf": "18"}  # constant quality: hardly to be told from the original
MPEG4_QUALITY = 3  # the coarsest quantizer, of 31
FINEST_MPEG4 = 60_000  # steps a second: the codec counts in 16 bits
LIMITED, UNKNOWN, RGB, BT601 = 1, 2, 0, 5  # FFmpeg's numbers of a range and of matrices


class BadFilmError(BadPictureError):
    """A file that is no readable film; the message names it and why."""


class Frame(NamedTuple):
    """One picture of a film and when it is shown."""

    image: Images
    start: int  # in units of time_base
    duration: int
    time_base: Fraction  # seconds


def read_frames(path: Path) -> Iterator[Frame]:
    """All of a film, in the order they are shown."""
    with _opened(path) as container:
        stream = _pictures(path, container)
        stream.thread_type = "AUTO"
        for picture in container.decode(stream):
            pixels = np.rot90(picture.to_ndarray(format="rgb24"), round(picture.rotation / 90))
            start = picture.dts if picture.pts is None else picture.pts
            yield Frame(from_bytes(pixels), start or 0, picture.duration, picture.time_base)


@contextmanager
def film_like(source: Path, target: Path, size: tuple[int, int], about: str) -> Iterator["Sink"]:
    """A new film of a height and a width, with the sound and the settings of another; all of it, or none."""
    part = target.with_name(f".{target.name}.partial")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _opened(source) as original, _writing(target), _av(target).open(str(part), "w", format="mp4") as container:
            container.metadata["comment"] = about
            sink = Sink(container, original, _pictures(source, original), size)
            yield sink
            sink.finish()
        with writing(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class Sink:
    """Takes the frames of a film and adds the sound to them."""

    def __init__(self, container: Any, original: Any, like: Any, size: tuple[int, int]) -> None:
        self.container = container
        self.stream = _encoder(container, like, size)
        like = like.codec_context
        self.matrix = BT601 if like.colorspace == RGB else like.colorspace
        coder = self.stream.codec_context
        coder.color_range, coder.colorspace = LIMITED, self.matrix
        coder.color_primaries, coder.color_trc = like.color_primaries, like.color_trc
        self.left_out: list[str] = []
        self.sounds = {}
        for sound in original.streams.audio:
            name = sound.codec_context.codec.canonical_name
            if name in container.supported_codecs:
                self.sounds[sound] = container.add_stream_from_template(sound)
            else:
                self.left_out.append(name)
        packets = original.demux(*self.sounds) if self.sounds else iter(())
        self.packets = (packet for packet in packets if packet.dts is not None)  # None: the end of a stream
        self.packet = next(self.packets, None)

    def write(self, frame: Frame) -> None:
        """The next frame, and the sound until then."""
        from av import VideoFrame

        coder = self.stream.codec_context
        picture = VideoFrame.from_ndarray(to_bytes(frame.image)[0].numpy(), "rgb24").reformat(
            *(coder.width, coder.height, coder.pix_fmt), dst_colorspace=self.matrix, dst_color_range=LIMITED
        )
        picture.pts, picture.duration, picture.time_base = frame.start, frame.duration, frame.time_base
        self.container.mux(self.stream.encode(picture))
        self._sound(until=frame.start * frame.time_base)

    def finish(self) -> None:
        """What the encoder has kept back, and the rest of the sound."""
        self.container.mux(self.stream.encode(None))
        self._sound(until=None)

    def _sound(self, until: Fraction | None) -> None:
        while self.packet is not None and (until is None or self.packet.dts * self.packet.time_base <= until):
            self.packet.stream = self.sounds[self.packet.stream]
            self.container.mux(self.packet)
            self.packet = next(self.packets, None)


def _encoder(container: Any, like: Any, size: tuple[int, int]) -> Any:
    """A stream with the times of another; sizes are (height, width)."""
    import av

    h264 = "libx264" in av.codecs_available
    stream = container.add_stream("libx264" if h264 else "mpeg4", rate=like.average_rate or like.guessed_rate or 25)
    coder = stream.codec_context
    coder.height, coder.width = size
    coder.pix_fmt = "yuv444p" if h264 and any(side % 2 for side in size) else "yuv420p"
    coder.time_base = like.time_base
    if h264:
        stream.options = H264
    else:
        coder.qmax = MPEG4_QUALITY
        coder.time_base = max(like.time_base, Fraction(1, FINEST_MPEG4))
    aspect = like.sample_aspect_ratio
    if aspect:
        turned = size != (like.codec_context.height, like.codec_context.width)
        coder.sample_aspect_ratio = 1 / aspect if turned else aspect
    return stream


def _pictures(path: Path, container: Any) -> Any:
    if not container.streams.video:
        raise BadFilmError(f"{path}: has no pictures, only sound or data; give a film")
    return container.streams.video[0]


@contextmanager
def _opened(path: Path) -> Iterator["av.container.InputContainer"]:
    """Whatever fails inside the with block becomes a BadFilmError."""
    av = _av(path)
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise BadFilmError(f"{path}: not a readable film ({error.strerror}); remove or replace it") from error


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """What the disk or the encoder refuses is said in one line."""
    av = _av(target)
    try:
        with writing(target):
            yield
    except av.FFmpegError as error:
        raise UserError(f"{target}: FFmpeg cannot write it ({error.strerror}); give its frames as pictures") from error


def _av(film: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError(f"{film}: films need PyAV; pip install -r requirements-video.txt") from error
    return av
