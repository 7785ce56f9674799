"""Fetching, from a server on this machine that behaves as badly as the real ones do."""

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from cyclegan.data import archive as archives
from cyclegan.data import builtin as embedded
from cyclegan.data import cards
from cyclegan.data.archive import BadArchiveError
from cyclegan.data.cards import Archive, Card, DataMissingError, Domain, Made
from cyclegan.data.fetch import WrongContentError, fetch, obtain
from cyclegan.errors import ResourceError, UserError
from cyclegan.images.find import find_images

COUNTS = {"trainA": 2, "trainB": 3, "testA": 1, "testB": 1}


def zipped(counts: dict[str, int], top: str = "fruit/") -> bytes:
    """An archive of pictures that do not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for folder, count in counts.items():
            for number in range(count):
                picture = io.BytesIO()
                Image.effect_noise((24, 24), 50).save(picture, "PNG")
                file.writestr(f"{top}{folder}/{number}.png", picture.getvalue())
    return buffer.getvalue()


ZIP = zipped(COUNTS)


class Server(ThreadingHTTPServer):
    """Serves `files` by path; `cuts` says after how many bytes the next answers break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.resumes = True
        self.asked: list[tuple[str, str]] = []  # path and range

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"].removeprefix("bytes=")
        self.server.asked.append((self.path, wanted))
        if self.path not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[self.path]
        start = int(wanted.removesuffix("-")) if self.server.resumes else 0
        self.send_response(206 if self.server.resumes else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(data)
        self.wfile.write(data[start : start + cut])

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        server.files["/fruit.zip"] = ZIP
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Where the data sets go."""
    monkeypatch.delenv("CYCLEGAN_DATA", raising=False)
    monkeypatch.setattr(cards, "DATASETS", tmp_path)
    return tmp_path


def card_of(*urls: str, data: bytes = ZIP, counts: dict[str, int] = COUNTS) -> Card:
    return Card(
        name="fruit",
        title="Apples and pears",
        license="none",
        source="here",
        sides={"A": "apple", "B": "pear"},
        counts=counts,
        archive=Archive(urls=urls, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()),
    )


def counted(folder: Path) -> dict[str, int]:
    return {name: len(find_images(folder / name)) for name in cards.FOLDERS}


def test_a_fetched_data_set_is_complete_and_leaves_nothing_else(server, home):
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert counted(home / "fruit") == COUNTS
    assert list(home.iterdir()) == [home / "fruit"]


def test_the_home_is_made_if_it_is_not_there(server, home):
    fetch(card_of(server.url("/fruit.zip")), home / "disk" / "data" / "fruit")
    assert counted(home / "disk" / "data" / "fruit") == COUNTS


def test_a_cut_connection_is_taken_up_where_it_broke(server, home):
    server.cuts = [1000, 500]
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert server.asked == [("/fruit.zip", "0-"), ("/fruit.zip", "1000-"), ("/fruit.zip", "1500-")]
    assert counted(home / "fruit") == COUNTS


def test_a_killed_download_is_taken_up_by_the_next_one(server, home):
    (home / "fruit.zip.part").write_bytes(ZIP[:2000])
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert server.asked == [("/fruit.zip", "2000-")]
    assert list(home.iterdir()) == [home / "fruit"]


def test_a_finished_download_is_not_repeated(server, home):
    (home / "fruit.zip.part").write_bytes(ZIP)
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert server.asked == []


def test_another_mirror_takes_up_what_the_first_began(server, home):
    server.files["/mirror.zip"] = ZIP
    server.cuts = [1000, 0]
    fetch(card_of(server.url("/fruit.zip"), server.url("/mirror.zip")), home / "fruit")
    assert server.asked[-1] == ("/mirror.zip", "1000-")


def test_a_server_that_cannot_resume_begins_again(server, home):
    server.resumes = False
    (home / "fruit.zip.part").write_bytes(b"x" * 2000)
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert counted(home / "fruit") == COUNTS


def test_a_server_that_always_breaks_off_is_given_up(server, home):
    server.resumes = False
    server.cuts = [1000] * 9
    with pytest.raises(DataMissingError, match=f"ended after 1,000 of {len(ZIP):,} bytes"):
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert len(server.asked) == 2
    assert (home / "fruit.zip.part").read_bytes() == ZIP[:1000]


@pytest.mark.parametrize("broken", ["/gone.zip", "/apology.zip", "/longer.zip", "/forged.zip"])
def test_a_broken_mirror_is_passed_over(server, home, broken):
    server.files |= {"/apology.zip": b"<html>moved</html>", "/longer.zip": ZIP + b"0", "/forged.zip": ZIP[:-1] + b"0"}
    fetch(card_of(server.url(broken), server.url("/fruit.zip")), home / "fruit")
    assert [path for path, _ in server.asked] == [broken, "/fruit.zip"]
    assert counted(home / "fruit") == COUNTS


def test_a_page_of_apologies_does_not_destroy_what_is_there(server, home):
    server.files["/fruit.zip"] = b"<html>moved</html>"
    server.resumes = False
    (home / "fruit.zip.part").write_bytes(ZIP[:2000])
    with pytest.raises(DataMissingError, match=f"has 18 bytes and not {len(ZIP):,}"):
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert (home / "fruit.zip.part").read_bytes() == ZIP[:2000]


def test_another_file_than_the_one_of_the_card_is_refused_with_both_hashes(server, home):
    forged = ZIP[:-1] + b"0"
    server.files["/fruit.zip"] = forged
    with pytest.raises(WrongContentError) as caught:
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    message = str(caught.value)
    assert server.url("/fruit.zip") in message
    assert hashlib.sha256(forged).hexdigest() in message
    assert hashlib.sha256(ZIP).hexdigest() in message
    assert list(home.iterdir()) == []


def test_a_poisoned_part_is_thrown_away(server, home):
    (home / "fruit.zip.part").write_bytes(b"x" * 2000)
    with pytest.raises(WrongContentError):
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert counted(home / "fruit") == COUNTS


def test_without_a_network_the_error_says_all_that_can_be_done(home):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        url = f"http://127.0.0.1:{closed_soon.getsockname()[1]}/fruit.zip"
    card = card_of(url)
    with pytest.raises(DataMissingError) as caught:
        fetch(card, home / "fruit")
    first, *rest = str(caught.value).splitlines()
    asked, *how = str(cards.missing(Domain(card=card, x_side="A"))).splitlines()
    assert rest == how
    assert len(rest) == 2
    assert first.startswith(f"{asked}, and the download failed: {url}: ")
    assert "refused" in first


def test_an_archive_placed_by_hand_needs_no_network_and_is_kept(home):
    (home / "fruit.zip").write_bytes(ZIP)
    fetch(card_of("http://127.0.0.1:1/fruit.zip"), home / "fruit")
    assert counted(home / "fruit") == COUNTS
    assert (home / "fruit.zip").read_bytes() == ZIP


def test_a_wrong_archive_placed_by_hand_is_refused_and_kept(home):
    (home / "fruit.zip").write_bytes(ZIP[:-1] + b"0")
    with pytest.raises(WrongContentError, match=rf"{home}/fruit\.zip: has .*delete"):
        fetch(card_of("http://127.0.0.1:1/fruit.zip"), home / "fruit")
    assert [path.name for path in home.iterdir()] == ["fruit.zip"]


def test_another_number_of_pictures_than_on_the_card_is_refused(server, home):
    with pytest.raises(WrongContentError, match=r"fruit\.zip: trainB holds 3 pictures, its card says 4"):
        fetch(card_of(server.url("/fruit.zip"), counts=COUNTS | {"trainB": 4}), home / "fruit")
    assert [path.name for path in home.iterdir()] == ["fruit.zip"]


def test_an_evil_archive_leaves_nothing_behind_though_its_hash_is_right(server, home):
    evil = server.files["/fruit.zip"] = zipped(COUNTS | {"../..": 1})
    with pytest.raises(BadArchiveError, match="leads out of its folder"):
        fetch(card_of(server.url("/fruit.zip"), data=evil), home / "fruit")
    assert [path.name for path in home.iterdir()] == ["fruit.zip"]


def test_a_folder_that_is_there_is_not_touched(server, home):
    (home / "fruit").mkdir()
    with pytest.raises(UserError, match="is already there; delete it"):
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert server.asked == []


def test_a_full_disk_is_noticed_before_the_download(server, home, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(ResourceError, match="needed"):
        fetch(card_of(server.url("/fruit.zip")), home / "fruit")
    assert server.asked == []


def test_obtain_fetches_once(server, home):
    domain = Domain(card=card_of(server.url("/fruit.zip")), x_side="B")
    assert [obtain(domain), obtain(domain)] == [home / "fruit"] * 2
    assert len(server.asked) == 1


def test_a_made_data_set_is_made_and_not_fetched(home, monkeypatch):
    card = Card(
        name="drawn",
        title="Drawings",
        license="none",
        source="here",
        sides={"A": "photo", "B": "drawing"},
        counts=COUNTS,
        made=Made(maker="tint", sha256="0" * 64),
    )
    monkeypatch.setattr(embedded, "make", lambda _, folder, *__: archives.unpack(write(home / "a.zip"), folder))
    with pytest.raises(UserError, match="nothing to download"):
        fetch(card, home / "drawn")
    assert obtain(Domain(card=card, x_side="A")) == home / "drawn"


def write(path: Path) -> Path:
    path.write_bytes(zipped(COUNTS, top=""))
    return path
