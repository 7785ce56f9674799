"""One process trains in a run folder at a time: two would write over each other's checkpoints.

The system holds the lock for as long as the process lives, so that no crash leaves one behind; the file says whose it
is. Where a file system knows no locks, and on Windows, there is none.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cyclegan.errors import NoSpaceError, UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # a disk that is full, or gone


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within this context the folder, made where there is none, is ours alone.

    Raises UserError if it is not, and NoSpaceError if it can no longer be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); train from a folder that can be, or free it"
        ) from error
    with file:
        _lock(file, folder)
        file.truncate(0)
        file.write(f"{os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        except OSError as error:
            if error.errno not in LOST and folder not in Path(str(error.filename)).parents:
                raise
            raise NoSpaceError(
                f"{folder}: can no longer be written ({error.strerror or error}); "
                "make room, and the same command continues"
            ) from error


def _lock(file: IO[str], folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        raise UserError(
            f"{folder}: locked by process {owner}, which trains there; "
            "wait for its end, or give this run a name of its own (--set name=…)"
        ) from None
    except OSError:  # a file system without locks
        return
