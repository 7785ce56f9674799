"""Reading of video files frame by frame: upright, on white, with time stamps, by PyAV, which includes FFmpeg.

Upright    The whole display matrix is applied: quarter turns and mirrorings, as players show them.
On white   Frames with alpha are laid on white, as images are; VP8 and VP9 too, if FFmpeg has libvpx.
Times      Those of the source, in display order. AVI stores none for display, so those of decoding are used,
           which have the same steps. A frame without a time stamp starts where the one before it ends.
Damage     Packets that cannot be decoded are skipped and counted: see cyclegan.translate.video_findings.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from cyclegan.errors import UserError
from cyclegan.images.rgb8 import BadPictureError, to_rgb
from cyclegan.images.tensors import from_bytes
from cyclegan.protocols import Images
from cyclegan.translate.video_findings import Findings, rate_of

if TYPE_CHECKING:
    import av

WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders of these ignore alpha
NOT_TURNED = (1, 0, 0, 0, 1)


class BadFilmError(BadPictureError):
    """Error for a file that is not a readable video; the message names the file and the reason."""


class Frame(NamedTuple):
    """One frame of a video and when it is shown."""

    image: Images  # (1, 3, h, w), upright
    start: Fraction  # s, by the clock of the file
    duration: Fraction  # s
    aspect: Fraction | None = None  # width : height of a pixel of the image


def read_frames(path: Path, found: Findings | None = None) -> Iterator[Frame]:
    """Yield all frames of a video in display order; record what is noticed on the way in `found`."""
    with opened(path) as container:
        yield from _Reader(container, video_of(path, container), found or Findings()).frames()


class _Reader:
    """Reader of a file, for one pass."""

    def __init__(self, container: Any, stream: Any, found: Findings) -> None:
        self.container, self.stream, self.found = container, stream, found
        self.decoder = _decoder(stream)
        self.by_dts = container.format.name == "avi"
        self.delay: int | None = None  # of the decoder, in ticks, when decoding times are used
        found.declare(container, stream)

    def frames(self) -> Iterator[Frame]:
        """Yield frames with a delay of one: the duration of the last one is known only at the end."""
        shown: Frame | None = None
        for picture in self._decoded():
            if shown:
                yield shown
            shown = self._frame(picture)
            self.found.add_frame(shown.start, shown.duration)
        if shown:
            yield shown._replace(duration=self.found.duration_of_the_last(shown.duration))

    def _decoded(self) -> Iterator[Any]:
        for packet in packets_of(self.container, found=self.found):
            self.found.add_packet(packet)
            if packet.stream is self.stream:
                yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Any) -> list[Any]:
        import av

        try:
            return self.decoder.decode(packet)
        except av.FFmpegError as error:
            self.found.damaged += is_damage(error)
            return []

    def _frame(self, picture: Any) -> Frame:
        self.found.damaged += picture.is_corrupt
        matrix, aspect = _display_matrix(picture), self.stream.sample_aspect_ratio
        return Frame(
            image=from_bytes(upright(self._on_white(picture), matrix)),
            start=self._start(picture),
            duration=(picture.duration or 0) * self.stream.time_base or 1 / rate_of(self.stream),
            aspect=1 / aspect if aspect and is_transposed(matrix) else aspect or None,
        )

    def _start(self, picture: Any) -> Fraction:
        ticks = picture.dts if self.by_dts else picture.pts
        if ticks is None:
            return self.found.end
        if self.delay is None:
            self.delay = ticks - (self.stream.start_time or 0) if self.by_dts else 0
        return (ticks - self.delay) * self.stream.time_base

    def _on_white(self, picture: Any) -> np.ndarray:
        """Return the frame laid on white, as uint8 (h, w, 3)."""
        if not (picture.format.has_palette or any(part.is_alpha for part in picture.format.components)):
            return picture.to_ndarray(format="rgb24")
        pixels = picture.to_ndarray(format="rgba")
        if pixels[..., 3].min() == 255:
            return pixels[..., :3]
        self.found.transparent = True
        return np.asarray(to_rgb(Image.fromarray(pixels)))


def upright(pixels: np.ndarray, matrix: tuple[int, ...]) -> np.ndarray:
    """Turn pixels (h, w, c) as a display matrix shows them; the first five of its nine numbers are used.

    x' = a x + c y and y' = b x + d y, with (a, b, _, c, d) = matrix; the nearest quarter turn is taken.
    """
    a, b, _, c, d = matrix[:5]
    if is_transposed(matrix):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def is_transposed(matrix: tuple[int, ...]) -> bool:
    """Return whether a display matrix turns rows into columns."""
    a, b, _, c, d = matrix[:5]
    return abs(b) + abs(c) > abs(a) + abs(d)


def _display_matrix(picture: Any) -> tuple[int, ...]:
    matrix = picture.side_data.get("DISPLAYMATRIX")
    return NOT_TURNED if matrix is None else tuple(np.frombuffer(bytes(matrix), np.int32).tolist())


def video_of(path: Path, container: Any) -> Any:
    """Return the first video stream; the cover image of a sound file is skipped."""
    for stream in container.streams.video:
        if not is_cover(stream):
            if stream.codec_context is None:
                raise BadFilmError(f"{path}: has no decoder here; convert it to H.264")
            return stream
    raise BadFilmError(f"{path}: has no pictures, only sound or data; give a film")


def is_cover(stream: Any) -> bool:
    """Return whether a stream is a single image, such as an album cover."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _decoder(stream: Any) -> Any:
    import av

    stream.thread_type = "AUTO"
    name = WITH_ALPHA.get(stream.codec_context.codec.canonical_name)
    tags = {tag.lower(): value for tag, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and name in av.codecs_available:
        return av.CodecContext.create(name, "r")
    return stream


def packets_of(container: Any, *streams: Any, found: Findings | None = None) -> Iterator[Any]:
    """Yield the packets of these streams, or of all; stop where the file is too damaged to go on."""
    import av

    try:
        for packet in container.demux(*streams):
            if packet.size:  # others would end the decoding
                yield packet
    except IndexError:
        pass  # raised by PyAV at the end, if there are streams that the header does not list
    except av.FFmpegError as error:
        damaged = is_damage(error)
        if found:
            found.damaged += damaged


def is_damage(error: Exception) -> bool:
    """Return True for errors caused by the file; reraise those of a drive, of permissions or of memory."""
    if isinstance(error, OSError | MemoryError):
        raise error
    return True


@contextmanager
def opened(path: Path) -> Iterator["av.container.InputContainer"]:
    """Open a video; raise BadFilmError for whatever fails inside the with block."""
    av = pyav(path)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            yield container
    except FileNotFoundError as error:
        raise BadFilmError(f"{path}: does not exist; give films") from error
    except av.FFmpegError as error:
        raise BadFilmError(f"{path}: not a readable film ({error.strerror}); remove or replace it") from error


def pyav(film: Path) -> Any:
    """Return the module av; if it is missing, raise UserError with one line on how to install it."""
    try:
        import av
    except ImportError as error:
        raise UserError(f"{film}: films need PyAV; pip install -r requirements-video.txt") from error
    return av
