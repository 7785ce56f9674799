"""Download, verify and unpack the archives of the cards; only the size and SHA-256 of the card are trusted.

Mirrors    are tried in order; http is allowed because the hash decides, not the connection.
Resumes    from <card>.zip.part, whatever interrupted the download and whichever mirror it began from.
Unpacks    into a temporary folder next to the final one, renamed when it is complete.
Offline    put <card>.zip next to the folder: it is verified, unpacked, and kept.
"""

import hashlib
import tempfile
import urllib.request
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from cyclegan.data.archive import require_space, unpack
from cyclegan.data.cards import FOLDERS, Archive, Card, DataMissingError, Domain, locate, missing, places
from cyclegan.errors import DISK_ERRNOS, UserError, from_os_error
from cyclegan.images.find import find_images

CHUNK = 1 << 20
TIMEOUT = 30  # seconds without a byte


class WrongContentError(UserError):
    """Error for a file that differs from the one of the card."""


def obtain(domain: Domain) -> Path:
    """Return the folder of the domain's images; fetch or make them if they are missing."""
    try:
        return locate(domain)
    except DataMissingError:
        fetch(domain.card, places(domain.card)[0])
        return locate(domain)


def fetch(card: Card, folder: Path) -> None:
    """Put all images of a card into a folder that does not exist yet."""
    if card.archive is None:
        raise UserError(f"{card.name}: there is nothing to download; these pictures are made on first use")
    if folder.exists():
        raise UserError(f"{folder}: is already there; delete it to fetch it anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive = folder.parent / f"{card.name}.zip"
    placed_by_hand = archive.exists()
    if placed_by_hand:
        _verify(archive, card.archive, str(archive))
    else:
        _download(card, card.archive, archive)
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".part") as room:
        unpack(archive, Path(room) / folder.name)
        _compare_counts(Path(room) / folder.name, card)
        (Path(room) / folder.name).rename(folder)
    if not placed_by_hand:
        archive.unlink()


def _download(card: Card, wanted: Archive, archive: Path) -> None:
    """Download from the first mirror that has the file of the card."""
    part = archive.with_name(f"{archive.name}.part")
    require_space(part.parent, wanted.bytes - _size(part))
    reasons: list[str] = []
    wrong: WrongContentError | None = None
    for url in wanted.urls:
        try:
            _receive_all(url, part, wanted.bytes)
            _verify(part, wanted, url)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRNOS:
                raise from_os_error(error, part) from error
            reasons.append(f"{url}: {error}")
        except WrongContentError as error:
            part.unlink()
            wrong = error
        else:
            part.replace(archive)
            return
    raise wrong or missing(Domain(card=card, x_side="A"), "; ".join(reasons))


def _receive_all(url: str, part: Path, size: int) -> None:
    """Receive a file over as many connections as needed, as long as each of them brings some bytes."""
    while (before := _size(part)) < size:
        try:
            _receive(url, part, size)
        except (OSError, HTTPException):
            if _size(part) <= before:
                raise


def _receive(url: str, part: Path, size: int) -> None:
    """Append the bytes of one connection."""
    request = urllib.request.Request(url, headers={"User-Agent": "cyclegan", "Range": f"bytes={_size(part)}-"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, part.open("ab") as file:
        start = file.tell() if answer.status == 206 else 0  # 200: the server starts over
        if answer.length is not None and start + answer.length != size:
            raise OSError(f"has {start + answer.length:,} bytes and not {size:,}")  # such as an error page
        file.truncate(start)
        file.seek(start)
        with tqdm(total=size, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None) as bar:
            while file.tell() < size and (chunk := answer.read(CHUNK)):
                bar.update(file.write(chunk))
        if file.tell() < size:
            raise OSError(f"ended after {file.tell():,} of {size:,} bytes")


def _verify(path: Path, wanted: Archive, where: str) -> None:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if (_size(path), sha256) != (wanted.bytes, wanted.sha256):
        raise WrongContentError(
            f"{where}: has {_size(path):,} bytes of sha256 {sha256}, but its card says {wanted.bytes:,} bytes of "
            f"{wanted.sha256}; delete what is damaged and fetch it anew, or correct the card if you trust the file"
        )


def _compare_counts(folder: Path, card: Card) -> None:
    for name in FOLDERS:
        found, expected = len(find_images(folder / name)), card.counts[name]
        if found != expected:
            raise WrongContentError(f"{card.name}.zip: {name} holds {found} pictures, its card says {expected}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
