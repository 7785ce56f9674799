"""A Windows in small: the file system refuses what that of Windows refuses, and what only POSIX has is not there."""

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FORBIDDEN = set('<>:"|?*')  # in the name of a file
ABSENT = ("fchmod", "getuid", "geteuid", "fork", "mkfifo", "sched_getaffinity", "sched_setaffinity", "killpg")


def become_windows(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on, below the folder, and for descriptors of any file."""
    opened = os.open

    def open_file(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path, flags, *more, **options)

    patch.setattr(os, "open", open_file)
    patch.setattr(os, "fsync", only_written(os.fsync))
    patch.setattr(os, "mkdir", only_allowed_names(os.mkdir, folder))
    for name in ("rename", "replace"):
        patch.setattr(os, name, only_allowed_names(only_closed(getattr(os, name)), folder))
    for name in ("unlink", "remove", "rmdir"):
        patch.setattr(os, name, only_closed(getattr(os, name)))
    patch.setattr(shutil, "_use_fd_functions", False)
    for name in ABSENT:
        patch.delattr(os, name, raising=False)
    for module in ("cyclegan.training.lock.fcntl", "cyclegan.training.forecast.resource"):
        patch.setattr(module, None)
    for name in ("fcntl", "resource"):
        patch.setitem(sys.modules, name, None)


def only_written(fsync: Callable[[int], None]) -> Callable[[int], None]:
    """A descriptor that is open for reading only is not flushed."""

    def flush(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        fsync(descriptor)

    return flush


def only_closed(do: Callable[..., None]) -> Callable[..., None]:
    """Nothing is renamed, replaced or removed that this process holds open, or mapped into its memory."""

    def do_if_closed(*paths: Any, **options: Any) -> None:
        for path in map(os.path.realpath, paths):
            if any(held == path or held.startswith(path + os.sep) for held in held_open()):
                raise PermissionError(errno.EACCES, "The process cannot access the file: it is being used", path)
        do(*paths, **options)

    return do_if_closed


def held_open() -> set[str]:
    """Files that are open in this process or mapped into its memory."""
    descriptors = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return descriptors | {line.split(maxsplit=5)[5] for line in maps if line.count(" /")}


def only_allowed_names(do: Callable[..., None], folder: Path) -> Callable[..., None]:
    """Names that Windows forbids are not given."""

    def do_if_allowed(*paths: Any, **options: Any) -> None:
        for path in (Path(path) for path in paths if not isinstance(path, int)):  # a mode is none
            below = path.absolute().is_relative_to(folder)
            if below and FORBIDDEN & set(str(path.absolute().relative_to(folder))):
                raise OSError(errno.EINVAL, "The file name, directory name, or volume label syntax is incorrect", path)
        do(*paths, **options)

    return do_if_allowed
