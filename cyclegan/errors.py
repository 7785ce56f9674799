"""Errors that are not faults of the code, and the exit code of each.

The command line prints each of these as one line on stderr; any other exception is a bug of ours (exit 1,
with a traceback). Exit codes: 0 done · 1 our bug · 2 bad input · 3 not finite · 4 no space, memory or answer
· 130 and 143 signals

An operation that the system refuses (an OSError with a number) is not a bug either: `refused` describes it in
one line, in the command line or wherever more is known of the file and the remedy. CYCLEGAN_DEBUG=1 shows the
traceback of all.
"""

import errno
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # a disk that is full, or gone
FULL = re.compile("out of memory|can't allocate memory|not enough memory")  # CUDA and MPS, Linux, Windows


class UserError(Exception):
    """Bad input; the message names the file, the key or the size, and gives the remedy."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong line in a YAML file or in `--set`, reported as file:line:column: dotted.path: what is wrong."""


class NotFiniteError(UserError):
    """A loss or a weight that became NaN or infinite; the message names it and the step."""

    exit_code = 3


class ResourceError(UserError):
    """A full disk or a full memory; the message gives the space that is needed."""

    exit_code = 4


class UnresponsiveError(UserError):
    """A drive, or another process, that has been silent for too long; the message names it."""

    exit_code = 4


class StoppedError(Exception):
    """A training stopped by SIGINT or SIGTERM, after it finished its step and saved.

    This is no failure, yet the exit code is not 0.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number


def from_os_error(error: OSError, target: object = None, remedy: str = "") -> UserError:
    """Describe in one line an operation that the system has refused.

    `target` is the file that was being written, and `remedy` the advice for that case.
    """
    kind, usual = UserError, "see whether the path is right, and whether you may use it"
    if error.errno in DISK_ERRNOS:
        kind, usual = (
            ResourceError,
            "make room there, or take a disk that can be written, and give the same command again",
        )
    elif isinstance(error, ConnectionError | TimeoutError):
        kind, usual = UnresponsiveError, "see to the connection, and give the same command again"
    said = error.strerror or str(error) or type(error).__name__
    said = f"cannot be written ({said})" if target else said
    return kind(f"{target or error.filename or 'a file or a connection'}: {said}; {remedy or usual}")


def expanded(path: str | os.PathLike[str]) -> Path:
    """Expand ~ to the home folder: shells leave it within quotes, and settings files never pass a shell."""
    return Path(os.path.expanduser(path))


def printable(text: str) -> str:
    """Replace bytes of a file name that are not UTF-8 by �, so that any file or terminal can hold it."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


@contextmanager
def with_filename(path: str | os.PathLike[str]) -> Iterator[None]:
    """Context that adds the name of the file to an OSError; errors of writing lack it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextmanager
def out_of_memory_as(otherwise: Callable[[], str]) -> Iterator[None]:
    """Context that turns the out-of-memory error of any device into a ResourceError with a message of ours."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not FULL.search(str(error)):
            raise
        raise ResourceError(otherwise()) from error


def quoted(*words: object) -> str:
    """Quote the words of a command line for the shell, so that a path is never read as an option."""
    texts = [f".{os.sep}{word}" if isinstance(word, PurePath) and str(word)[0] == "-" else str(word) for word in words]
    return subprocess.list2cmdline(texts) if sys.platform == "win32" else shlex.join(texts)
