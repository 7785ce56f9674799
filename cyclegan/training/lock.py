"""One process trains in a run folder at a time: two would write over each other's checkpoints.

The system holds the lock for as long as the process lives, so that no crash leaves one behind; the file says whose it
is. Where a file system knows no locks, and on Windows, there is none.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cyclegan.errors import LOST, NoSpaceError, UserError, refused

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within this context the folder, made where there is none, is ours alone.

    Raises UserError if it is not, and NoSpaceError if it can no longer be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("ab+", buffering=0)  # nothing is left to be written when it is closed
    except OSError as error:
        raise refused(error, folder, "train from a folder that can be written, or make room") from error
    with file:
        _lock(file, folder)
        try:
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}\n".encode())
            yield
        except OSError as error:
            if error.errno not in LOST and folder not in Path(str(error.filename)).parents:
                raise
            raise NoSpaceError(
                f"{folder}: can no longer be written ({error.strerror or error}); "
                "make room, and the same command continues"
            ) from error


def _lock(file: BinaryIO, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().decode(errors="replace").strip() or "unknown"
        raise UserError(
            f"{folder}: locked by process {owner}, which trains there; "
            "wait for its end, or give this run a name of its own (--set name=…)"
        ) from None
    except OSError:  # a file system without locks
        return
