"""Facts about a video that are known once it has been read: damage, and a missing end.

Missing    A video that ends earlier than its header declares was cut off, for example by a download that was
           interrupted. A gap of less than one and a half times the longest time between two frames is no
           sign of that: some containers do not store how long the last frame is shown. In that case it is
           shown until the declared end. MPEG streams declare no end.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

DECLARING = ("asf", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")  # containers that declare their duration
TYPICAL_RATE = Fraction(25)  # frames a second, for files without a rate
SOUND_SLACK = Fraction(1, 10)  # s, the tolerated difference between the declared end of the sound and its last packet


def rate_of(stream: Any) -> Fraction:
    """Return the average number of frames per second."""
    return stream.average_rate or stream.guessed_rate or TYPICAL_RATE


@dataclass
class Findings:
    """Findings so far; times are in seconds, by the clock of the file."""

    frames: int = 0
    damaged: int = 0  # packets that could not be decoded, and frames that FFmpeg marks as damaged
    transparent: bool = False  # any pixel
    start: Fraction | None = None  # of the newest frame
    end: Fraction = Fraction(0)  # of the newest frame
    longest: Fraction = Fraction(0)  # time from one frame to the next
    end_of_all: Fraction = Fraction(0)  # streams
    declared: Fraction | None = None  # end of the video
    declared_of_all: Fraction | None = None
    declared_frames: int = 0  # 0: unknown

    def declare(self, container: Any, stream: Any) -> None:
        """Read what the header declares."""
        kind = container.format.name
        if kind in DECLARING and container.duration:
            self.declared_of_all = Fraction(container.duration, 1_000_000)
        length = stream.frames if kind == "avi" else stream.duration if kind.startswith("mov") else None
        if length:
            self.declared = ((stream.start_time or 0) + length) * stream.time_base
        elif len(container.streams) == 1:
            self.declared = self.declared_of_all
        whole = (self.declared or 0) - (stream.start_time or 0) * stream.time_base
        self.declared_frames = stream.frames or max(0, round(whole * rate_of(stream)))

    def add_packet(self, packet: Any) -> None:
        """Record a packet of any stream."""
        start = packet.dts if packet.pts is None else packet.pts
        if start is not None:
            self.end_of_all = max(self.end_of_all, (start + (packet.duration or 0)) * packet.time_base)

    def add_frame(self, start: Fraction, duration: Fraction) -> None:
        """Record the next frame in display order."""
        if self.start is not None:
            self.longest = max(self.longest, start - self.start)
        self.frames += 1
        self.start, self.end = start, start + duration

    def duration_of_the_last(self, duration: Fraction) -> Fraction:
        """Extend the last frame to the declared end, where the file stores a shorter duration."""
        if self.start is None or self.declared is None or self.missing:
            return duration
        return max(duration, self.declared - self.start)

    @property
    def missing(self) -> str | None:
        """Sentence on how much is missing at the end; None for a complete video."""
        usual = self.longest * Fraction(3, 2)
        video = (self.end, self.declared, usual)
        for end, declared, slack in (
            video,
            (max(self.end, self.end_of_all), self.declared_of_all, usual + SOUND_SLACK),
        ):
            if declared is not None and declared - end > slack:
                of = f" of about {self.declared_frames}" if self.declared_frames else ""
                ends = f"it ends at {float(end):.2f} s of {float(declared):.2f} s that it declares"
                return f"damaged: {ends}; {self.frames}{of} frames could be read"
        return None

    @property
    def notes(self) -> list[str]:
        """Sentences on what else the translation lacks."""
        damaged = f"damaged: packets that could not be decoded: {self.damaged}; frames translated: {self.frames}"
        alpha = "its alpha is lost, as an .mp4 holds none; transparent parts were laid on white"
        return [damaged] * (self.damaged > 0) + [alpha] * self.transparent
