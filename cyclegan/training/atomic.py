"""Atomic writing of files: a file is whole (old or new) or absent, even after a power cut.

On Windows a folder cannot be opened, a file that is open only for reading cannot be flushed, and a file that
another program, such as a virus scanner, holds open cannot be renamed. So folders are flushed only where the
system can, and a rename is retried for a second.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyclegan.errors import with_filename

PARTIAL = ".partial"
NO_FOLDERS = (errno.EACCES, errno.EPERM, errno.EBADF, errno.EINVAL, errno.ENOTSUP)  # a system that flushes no folder
PAUSES = (0.05, 0.1, 0.2, 0.3, 0.4)  # seconds between the attempts to rename what is open elsewhere


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that gives a temporary name to write to; at its end the file is flushed and renamed."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        with with_filename(path):
            yield partial
        flush(partial)
        patiently(lambda: os.replace(partial, path))
        flush_folder(path.parent)
    except Exception:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a text atomically, with the same bytes on every system.

    Bytes of file names that are not text are written as escapes.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Wait until the list of a folder's files is on the disk, where the system can open and flush folders."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDERS:
            raise


def patiently(rename: Callable[[], object]) -> None:
    """Rename, and retry while another program holds open the file that is renamed or replaced."""
    for seconds in PAUSES:
        try:
            rename()
            return
        except PermissionError:
            time.sleep(seconds)
    rename()
