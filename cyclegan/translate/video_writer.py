"""Writing of .mp4 files with the sound, the titles and the settings of another video, by PyAV.

Writes     H.264, or MPEG-4 part 2 if FFmpeg was built without H.264. Size, frame rate, color matrix and pixel
           shape are those of the source. Colors have half the resolution, as is usual in videos, but the
           full resolution in H.264 with an odd side, which could not keep its size otherwise. There are no
           B-frames: .mp4 stores how long frames are shown in decoding order, so that with B-frames the last
           frame could be cut short.
Copies     Every sound and subtitle stream whose codec .mp4 supports, packet by packet; languages, titles and
           chapters. The rest is listed in `left_out`.
Times      Those of the source, minus the start of its earliest stream: a video starts at 0, with the sound in
           sync. They always increase: see `Clock`.
Whole      files only: the video is written under another name first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from cyclegan.images.tensors import to_bytes
from cyclegan.translate.image_files import writing
from cyclegan.translate.video_files import BadFilmError, Frame, is_cover, is_damage, opened, packets_of, pyav, video_of
from cyclegan.translate.video_findings import rate_of

H264 = {"crf": "18"}  # constant quality: hardly distinguishable from the original
MPEG4_QUALITY = 3  # the coarsest quantizer, of 31
FINEST_MPEG4 = 60_000  # steps a second: the codec counts in 16 bits
LIMITED, UNKNOWN, RGB, BT601 = 1, 2, 0, 5  # FFmpeg's numbers of a range and of matrices
STEP = Fraction(1, 1000)  # s, between two time stamps that did not rise
SET_BACK = Fraction(1)  # s; a clock that jumps back by more was reset, as where two recordings were joined
CHAPTERS = "data (bin_data)"  # also in a stream, of .mp4 and .mov
COPIED = ("language", "title", "handler_name")  # metadata of a stream
NAMES = {"audio": "sound", "subtitle": "subtitles", "video": "other video"}


@contextmanager
def film_like(source: Path, target: Path, like: Frame, about: str) -> Iterator["VideoWriter"]:
    """Create a video of the size of a frame, with the sound and settings of another.

    A failure leaves no file behind.
    """
    part = target.with_name(f".{target.name}.partial")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened(source) as original, _writing(source, target), _new(part) as container:
            writer = VideoWriter(container, original, video_of(source, original), like, about)
            yield writer
            writer.finish()
        with writing(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class Clock:
    """Time stamps of one stream, in ticks since the origin, that always increase.

    A time stamp that does not is moved right behind the one before it; after a jump back, time continues from
    the last end.
    """

    def __init__(self, tick: Fraction, origin: Fraction, last: int | None = None) -> None:
        self.tick, self.origin, self.last = tick, origin, last
        self.end = Fraction(0)  # s
        self.moved = 0  # time stamps

    def __call__(self, start: Fraction, duration: Fraction) -> int:
        """Return in ticks the next time stamp of the source, which is given in seconds."""
        ticks = round((start - self.origin) / self.tick)
        if self.last is not None and ticks <= self.last:
            self.moved += 1
            least = self.last + ceil(STEP / self.tick)
            if ticks < self.last - SET_BACK / self.tick:
                self.origin = start - self.end
                least = max(least, round(self.end / self.tick))
            ticks = least
        self.last, self.end = ticks, ticks * self.tick + duration
        return ticks


class VideoWriter:
    """Writer of the frames of a video, which copies the sound along with them."""

    def __init__(self, container: Any, original: Any, video: Any, like: Frame, about: str) -> None:
        copied, self.left_out = _split(original.streams, video, container.supported_codecs)
        starts = [s.start_time * s.time_base for s in (video, *copied) if s.start_time is not None]
        origin = min(starts, default=Fraction(0))
        self.container, self.stream = container, _encoder(container, video, like)
        self.matrix = _color(self.stream.codec_context, video.codec_context)
        self.damaged = 0  # packets that could not be copied
        self.clock = Clock(self.stream.codec_context.time_base, origin, last=-1)
        self.copies = {s: (container.add_stream_from_template(s), Clock(s.time_base, origin)) for s in copied}
        for stream, copy in ((video, self.stream), *((s, copy) for s, (copy, _) in self.copies.items())):
            _describe(copy, stream)
        container.metadata.update(_described(original.metadata, about))
        chapters = [_shifted(chapter, origin) for chapter in original.chapters()]
        container.set_chapters(chapters)
        if chapters and CHAPTERS in self.left_out:
            self.left_out.remove(CHAPTERS)
        container.start_encoding()
        self.packets = packets_of(original, *self.copies) if self.copies else iter(())
        self.packet = next(self.packets, None)

    def write(self, frame: Frame) -> None:
        """Write the next frame, and the sound up to it."""
        from av import VideoFrame

        coder = self.stream.codec_context
        picture = VideoFrame.from_ndarray(to_bytes(frame.image)[0].numpy(), "rgb24").reformat(
            *(coder.width, coder.height, coder.pix_fmt), dst_colorspace=self.matrix, dst_color_range=LIMITED
        )
        picture.pts, picture.time_base = self.clock(frame.start, frame.duration), coder.time_base
        picture.duration = max(1, round(frame.duration / coder.time_base))
        self.container.mux(self.stream.encode(picture))
        self._copy(until=frame.start)

    def finish(self) -> None:
        """Write the frames that the encoder still holds, and the rest of the sound."""
        self.container.mux(self.stream.encode(None))
        self._copy(until=None)

    def _mux_copied(self, packet: Any) -> None:
        import av

        try:
            self.container.mux(packet)
        except av.FFmpegError as error:
            self.damaged += is_damage(error)

    @property
    def notes(self) -> list[str]:
        """Sentences on differences from the source."""
        left_out = [f"its {stream} does not go into an .mp4 and was left out" for stream in self.left_out]
        moved = f"time stamps that did not rise and were moved: {self.clock.moved}"
        damaged = f"damaged: packets of sound or subtitles that were left out: {self.damaged}"
        return left_out + [moved] * (self.clock.moved > 0) + [damaged] * (self.damaged > 0)

    def _copy(self, until: Fraction | None) -> None:
        while self.packet is not None:
            packet, (copy, clock) = self.packet, self.copies[self.packet.stream]
            ticks = packet.pts if packet.dts is None else packet.dts
            start = clock.end + clock.origin if ticks is None else ticks * packet.time_base
            if until is not None and start > until:
                return
            packet.pts = packet.dts = clock(start, (packet.duration or 0) * packet.time_base)
            packet.stream = copy
            self._mux_copied(packet)
            self.packet = next(self.packets, None)


def _split(streams: Any, video: Any, codecs: set[str]) -> tuple[list[Any], list[str]]:
    """Return the streams that can be copied, and the names of those that cannot."""
    copied, left_out = [], []
    for stream in streams:
        codec = stream.codec_context and stream.codec_context.codec
        if stream.type in ("audio", "subtitle") and codec and {codec.name, codec.canonical_name} & codecs:
            copied.append(stream)
        elif stream.type != "video" or stream is not video:
            kind = "cover picture" if is_cover(stream) else NAMES.get(stream.type, stream.type)
            name = codec.canonical_name if codec else getattr(stream, "name", None)
            left_out.append(f"{kind} ({name or 'of an unknown codec'})")
    return copied, left_out


def _describe(copy: Any, stream: Any) -> None:
    """Copy language, title and disposition of a stream."""
    copy.metadata.update({name: stream.metadata[name] for name in COPIED if name in stream.metadata})
    if "title" in stream.metadata:
        copy.metadata.setdefault("handler_name", stream.metadata["title"])
    copy.disposition = stream.disposition


def _described(metadata: dict[str, str], about: str) -> dict[str, str]:
    """Return the title and the other tags, with a comment that also says how the video was made.

    The time code is dropped, because it would become a stream.
    """
    kept = {name.lower(): text for name, text in metadata.items() if name.lower() != "timecode"}
    return kept | {"comment": "\n".join(filter(None, (about, kept.get("comment"))))}


def _color(coder: Any, like: Any) -> int:
    """Set the matrix and primaries of the source, in limited range; return FFmpeg's number of the matrix."""
    matrix = BT601 if like.colorspace == RGB else like.colorspace
    coder.color_range, coder.colorspace = LIMITED, matrix
    coder.color_primaries, coder.color_trc = like.color_primaries, like.color_trc
    return matrix


def _shifted(chapter: dict[str, Any], origin: Fraction) -> dict[str, Any]:
    ticks = round(origin / chapter["time_base"])
    return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}


def _encoder(container: Any, video: Any, like: Frame) -> Any:
    """Add a stream for frames of the size of the given one, with the rate of another stream."""
    import av
    from av.codec.context import Flags

    h264 = "libx264" in av.codecs_available
    stream = container.add_stream("libx264" if h264 else "mpeg4", rate=rate_of(video))
    coder = stream.codec_context
    coder.height, coder.width = like.image.shape[2:]
    coder.pix_fmt = "yuv444p" if h264 and any(side % 2 for side in like.image.shape[2:]) else "yuv420p"
    coder.time_base = _tick(video.time_base, None if h264 else FINEST_MPEG4)
    coder.max_b_frames = 0
    coder.flags |= Flags.frame_duration
    if h264:
        stream.options = H264
    else:
        coder.qmax = MPEG4_QUALITY
    if like.aspect:
        coder.sample_aspect_ratio = like.aspect
    return stream


def _tick(time_base: Fraction, finest: int | None) -> Fraction:
    """Divide a time base by the smallest whole number that gives at most STEP.

    If the result would be finer than one step of `finest` per second, return the latter.
    """
    tick = time_base / ceil(time_base / STEP)
    return tick if finest is None or tick.denominator <= finest else Fraction(1, finest)


def _new(part: Path) -> Any:
    return pyav(part).open(str(part), "w", format="mp4", options={"strict": "experimental"})  # TrueHD is


@contextmanager
def _writing(source: Path, target: Path) -> Iterator[None]:
    """Raise an error that ends the run if the disk refuses, or this video if FFmpeg cannot encode it."""
    av = pyav(source)
    try:
        with writing(target):
            yield
    except av.FFmpegError as error:
        said = f"FFmpeg cannot write it as {target.suffix} ({error.strerror})"
        raise BadFilmError(f"{source}: {said}; give its frames as pictures, with --frames") from error
