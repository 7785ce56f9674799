"""Files that are whole or not there, the old or the new, whatever cuts the writing off: even a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyclegan.errors import naming

PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the name under which a file is to be written within this context; then it is flushed and gets its own."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        with naming(path):
            yield partial
        flush(partial)
        os.replace(partial, path)
        flush(path.parent)
    except Exception:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a text in one go."""
    with replacing(path) as partial:
        partial.write_text(text)


def flush(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
