"""Files that are whole or not there, the old or the new, whatever cuts the writing off: even a power cut.

Windows opens no folder, flushes no file that is open for reading only, and renames nothing that another program, such
as a virus scanner, holds open: folders are flushed where the system can, and a name is tried for a second.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyclegan.errors import naming

PARTIAL = ".partial"
NO_FOLDERS = (errno.EACCES, errno.EPERM, errno.EBADF, errno.EINVAL, errno.ENOTSUP)  # a system that flushes no folder
PAUSES = (0.05, 0.1, 0.2, 0.3, 0.4)  # seconds between the attempts to rename what is open elsewhere


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name under which a file is to be written within this context; then it is flushed and gets its own."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        with naming(path):
            yield partial
        flush(partial)
        patiently(lambda: os.replace(partial, path))
        flush_folder(path.parent)
    except Exception:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a text in one go: the same bytes on every system, with escapes for parts of names that are no text."""
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
    """Rename, retried while another program holds open what is renamed or replaced."""
    for seconds in PAUSES:
        try:
            rename()
            return
        except PermissionError:
            time.sleep(seconds)
    rename()
