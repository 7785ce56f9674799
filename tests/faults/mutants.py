"""Files that lie: mutants of good ones, each made anew by its number, and a watch on the time and memory they take."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SEED = 6
STATUS = Path("/proc/self/status")


def draws(number: int) -> random.Random:
    """The generator of a mutant; that of another seed makes others."""
    return random.Random(f"{SEED} {number}")


def named(number: int, what: str) -> str:
    """What a failing test says: enough to make the mutant again."""
    return f"mutant {number} of seed {SEED}: {what}"


def _flip(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]


def _overwrite(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + draw.randbytes(draw.randint(1, 16)) + content[at + 16 :]


def _zero(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes(min(4096, len(content) - at)) + content[at + 4096 :]


def _cut_out(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + content[at + draw.randint(1, 64) :]


def _flip_early(content: bytes, draw: random.Random) -> bytes:
    return _flip(content[:64], draw) + content[64:]


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a bit flipped": _flip,
    "a bit of the first 64 bytes flipped": _flip_early,
    "three bits flipped": lambda content, draw: _flip(_flip(_flip(content, draw), draw), draw),
    "noise over it": _overwrite,
    "zeros over 4 KiB": _zero,
    "a piece cut out": _cut_out,
    "truncated": lambda content, draw: content[: draw.randrange(len(content))],
    "doubled": lambda content, draw: content * 2,
    "empty": lambda content, draw: b"",
    "noise only": lambda content, draw: draw.randbytes(draw.randrange(1, 5000)),
}


def mutate(content: bytes, number: int) -> tuple[str, bytes]:
    """Another content that differs, and how it was made; flips are the commonest."""
    draw = draws(number)
    way = draw.choice([*WAYS, *["a bit flipped"] * 4])
    changed = content
    while changed == content:  # zeros over zeros
        changed = WAYS[way](content, draw)
    return way, changed


class Watch:
    """How long the slowest took, and how far above the start the memory of this process went."""

    def __init__(self) -> None:
        self.slowest = 0.0
        self.start = self.peak = 0.0

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Looks at one of them."""
        begun = time.process_time()  # of this process: the machine may be busy, and what hangs meets the timeout
        yield
        seconds = time.process_time() - begun
        if seconds > self.slowest:
            self.slowest, self.slowest_name = seconds, name

    def __str__(self) -> str:
        return f"slowest {self.slowest:.2f} s of CPU, memory +{self.peak:.0f} MB at most"


@contextmanager
def watched() -> Iterator[Watch]:
    """Within this context; Linux tells the peak since it was last asked to forget it."""
    watch = Watch()
    try:
        (STATUS.parent / "clear_refs").write_text("5")
    except OSError:
        pytest.skip("needs /proc/self/clear_refs")
    watch.start = _megabytes("VmRSS")
    yield watch
    watch.peak = max(0.0, _megabytes("VmHWM") - watch.start)


def _megabytes(key: str) -> float:
    found = re.search(rf"^{key}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found, f"{STATUS} has no {key}"
    return int(found[1]) / 1024


def lines(text: str) -> list[str]:
    """What was said, if it could have been said to a user."""
    assert "Traceback" not in text, text
    return text.splitlines()
