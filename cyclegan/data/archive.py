"""Unpack a zip from an untrusted source: every name and size is checked before the first file is written.

Refused    absolute names, `..`, drive letters, backslashes, control characters, links and devices,
           encryption, names that differ by case alone, too many members, too many bytes, too high a ratio.
Written    the images of trainA trainB testA testB and nothing else; a folder <archive>/ around them is left
           out.
"""

import shutil
import stat
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from cyclegan.data.cards import FOLDERS
from cyclegan.errors import DISK_ERRNOS, ResourceError, UserError, from_os_error
from cyclegan.images.rgb8 import FORMATS

MAX_MEMBERS = 100_000
MAX_BYTES = 8 << 30  # unpacked
MAX_RATIO = 200  # unpacked to packed; images are compressed already


class BadArchiveError(UserError):
    """Error for a damaged or malicious zip; the message names it and the reason."""


def unpack(archive: Path, folder: Path) -> None:
    """Write the images of an archive into a new folder; if it raises, the folder is incomplete."""
    try:
        with zipfile.ZipFile(archive) as file:
            wanted = _select(file, archive.stem)
            folder.mkdir(parents=True)
            require_space(folder, sum(member.file_size for member, _ in wanted))
            for member, path in wanted:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
    except ResourceError:
        raise
    except Exception as error:  # zipfile raises many classes on damaged files: BadZipFile, EOFError, UnicodeError, …
        if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
            raise from_os_error(error, folder) from error
        raise BadArchiveError(f"{archive}: cannot be unpacked: {error}; delete it and fetch it anew") from error


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin if the disk has too little free space."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(f"{folder}: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")


def _select(file: zipfile.ZipFile, top: str) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Return the members to unpack and their paths; a single malicious member refuses the whole archive."""
    members = file.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{len(members):,} members are more than {MAX_MEMBERS:,}")
    if sum(member.file_size for member in members) > MAX_BYTES:
        raise ValueError(f"its contents are larger than {MAX_BYTES >> 30} GiB")
    for member in members:
        fault = _fault(member)
        if fault:
            raise ValueError(f"its member {member.orig_filename!r} {fault}")

    places = ((member, _place(member, top)) for member in members if not member.is_dir())
    wanted = [(member, path) for member, path in places if _is_wanted(path)]
    if not wanted:
        raise ValueError(f"it has no pictures in {' '.join(FOLDERS)}")
    name, times = Counter(str(path).casefold() for _, path in wanted).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{times} of its members are called {name!r}, or differ from it by case alone")
    return wanted


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Return why a member is refused; None if it is not."""
    name = member.orig_filename  # as stored in the file; .filename ends at the first NUL
    kind = stat.S_IFMT(member.external_attr >> 16)
    if any(ord(character) < 32 for character in name):
        return "has a control character in its name"
    if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        return "leads out of its folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.file_size > MAX_RATIO * max(member.compress_size, 1):
        return f"would grow more than {MAX_RATIO} times"
    return None


def _place(member: zipfile.ZipInfo, top: str) -> PurePosixPath:
    """Return the path of a member relative to the folder of the data set."""
    path = PurePosixPath(member.filename)
    return path.relative_to(top) if path.parts[:1] == (top,) else path


def _is_wanted(path: PurePosixPath) -> bool:
    return len(path.parts) > 1 and path.parts[0] in FOLDERS and path.suffix.lower() in FORMATS
