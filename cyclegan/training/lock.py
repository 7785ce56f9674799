"""Lock of a run folder: one process trains in it at a time, as two would overwrite each other's checkpoints.

The system holds the lock for as long as the process lives, so that a crash leaves no lock behind; the file
names its owner. There is no lock on Windows, nor on a file system without locks.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cyclegan.errors import DISK_ERRNOS, ResourceError, UserError, from_os_error

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run folder for this process within this context; the folder is made if it is missing.

    Raises UserError if another process holds the lock, and ResourceError if the folder can no longer be
    written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("ab+", buffering=0)  # nothing is left to be written when it is closed
    except OSError as error:
        raise from_os_error(error, folder, "train from a folder that can be written, or make room") from error
    with file:
        _lock(file, folder)
        try:
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}\n".encode())
            yield
        except OSError as error:
            if error.errno not in DISK_ERRNOS and folder not in Path(str(error.filename)).parents:
                raise
            raise ResourceError(
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
