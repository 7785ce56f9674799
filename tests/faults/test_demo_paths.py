"""F6: requests to `cyclegan serve` that want a file, the memory or the time of the machine, sent as raw bytes."""

import io
import json
import random
import socket
import struct
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import PHOTO, model, pixels, png, served, service

from cyclegan.images.rgb8 import write_picture
from cyclegan.serve.service import read_examples

PIECES = [
    "..",
    "%2e%2e",
    ".",
    "/",
    "%2f",
    "//",
    "\\",
    "%5c",
    "%00",
    "1-noise",
    "secret.png",
    ";",
    "~",
    "C:",
    "%",
    "%zz",
]
opened: list[str] | None = None  # what Python has opened, while it is a list


def note(event: str, arguments: tuple[object, ...]) -> None:
    if opened is not None and event == "open" and not str(arguments[0]).startswith(tempfile.gettempdir() + "/tmp"):
        opened.append(str(arguments[0]))


@pytest.fixture(scope="module")
def hook() -> None:
    sys.addaudithook(note)  # there is no taking it back, only silence


@pytest.fixture
def watched(hook):
    """What is opened, but for the system's folder for uploads that are on their way."""
    global opened
    opened = []
    yield opened
    opened = None


@pytest.fixture
def secret(tmp_path):
    """A picture beside the examples."""
    write_picture(tmp_path / "examples" / "noise.png", PHOTO)
    write_picture(tmp_path / "secret.png", PHOTO)
    return tmp_path / "secret.png"


@pytest.fixture
def address(secret):
    def slow(images):
        time.sleep(0.05)
        return -images

    offered = service(model(slow))
    offered.examples.update(read_examples(secret.parent / "examples"))
    with served(offered, places=2) as address:
        for warm in (png(PHOTO), b"no picture"):  # Pillow imports its readers when it first needs them
            httpx.post(f"{address}/api/translate", files={"picture": warm})
        yield address


def status(address: str, *pieces: bytes) -> int:
    """Of the answer to these bytes; 0 is no answer."""
    url = urlsplit(address)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may answer before it has heard all
        answer = connection.makefile("rb").readline()
    return int(answer.split()[1]) if answer else 0


def get(path: str, method: str = "GET", host: str = "localhost") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def post(body: bytes, kind: str = "multipart/form-data; boundary=x", headers: str = "") -> bytes:
    length = "" if "Content-Length" in headers or "chunked" in headers else f"Content-Length: {len(body)}\r\n"
    head = f"POST /api/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}{length}{headers}\r\n".encode() + body


def form(picture: bytes = png(PHOTO), filename: str = "a.png", **fields: str) -> bytes:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    head = f'--x\r\nContent-Disposition: form-data; name="picture"; filename="{filename}"\r\n\r\n'
    return "".join(parts).encode() + head.encode() + picture + b"\r\n--x--\r\n"


def paths(secret: object) -> list[str]:
    """Ways to say a file that is not offered."""
    unsaid = str(secret).replace("/", "%2f")
    return [
        *("../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", "%2e%2e%2fsecret.png", "%252e%252e%252fsecret.png"),
        *("..\\secret.png", "%2e%2e%5csecret.png", "....//secret.png", "..;/secret.png", "%c0%ae%c0%ae/secret.png"),
        *(str(secret), unsaid, f"file://{secret}", f"file:%2f%2f{unsaid}", f"/{secret}", "~/secret.png"),
        *("\\\\host\\share\\secret.png", "%5c%5chost%5cshare%5csecret.png", "//host/share/secret.png"),
        *("1-noise%00", "1-noise%00.png", "%00", "1-noise.png::$DATA", "C:\\secret.png", "NUL", "CON", "1-noise/"),
        *("../../../../../../etc/passwd", "%2e%2e/" * 9 + "etc/passwd", "..%2f" * 9 + "etc%2fpasswd"),
    ]


def header(width: int, height: int) -> bytes:
    """The beginning of a PNG of that size, with a few rows."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(100_000))),
            (b"IEND", b""),
        )
    )


def text_bomb() -> bytes:
    """A PNG with a comment of 100 MB in 100 KB."""
    data = b"Comment\0\0" + zlib.compress(bytes(100_000_000))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return png(PHOTO)[:33] + chunk + png(PHOTO)[33:]


def bodies() -> dict[str, bytes]:
    """What is no picture, or too much of one."""
    other = io.BytesIO()
    Image.fromarray(PHOTO).save(other, "PPM")
    return {
        "text": b"hello, I am a picture",
        "empty": b"",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "another format": other.getvalue(),
        "cut off": png(PHOTO)[:900],
        "12,000 pixels square": header(12_000, 12_000),
        "a bomb": header(60_000, 60_000),
        "a bomb of text": text_bomb(),
        "bytes": np.random.default_rng(0).bytes(10_000),
    }


def requests(secret: object, random_paths: int) -> dict[str, tuple[bytes, ...]]:
    """What is to be refused, each of it."""
    at = ("/", "/api/examples/", "/api/models/", "/api/translate/")
    dice = random.Random(0)
    drawn = ["".join(dice.choices(PIECES, k=dice.randint(2, 8))) for _ in range(random_paths)]
    asked = {f"GET {folder}{path}": (get(folder + path),) for folder in at for path in (*paths(secret), *drawn)}
    asked |= {f"GET {path}": (get(path),) for path in paths(secret)}
    asked |= {"a real NUL": (b"GET /api/examples/1-noise\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",)}
    for path in paths(secret):
        asked |= {
            f"model={path}": (post(form(model=path)),),
            f"model={unquote(path)}": (post(form(model=unquote(path))),),
        }
        asked |= {f"to={path}": (post(form(to=path)),)}
    asked |= {f"a picture: {name}": (post(form(body)),) for name, body in bodies().items()}
    asked |= {f"a style: {path}": (post(form(style=path)),) for path in ("../secret.png", str(secret))}
    mega = bytes(1024**2)
    asked["50 MB"] = (post(b"", headers=f"Content-Length: {50 * len(mega)}\r\n"), *50 * [mega])
    chunk = b"100000\r\n" + mega + b"\r\n"
    asked["50 MB, not announced"] = (post(b"", headers="Transfer-Encoding: chunked\r\n"), *50 * [chunk], b"0\r\n\r\n")
    asked["a negative length"] = (post(b"", headers="Content-Length: -1\r\n"),)
    asked["10,000 fields"] = (post(form(**{f"field{number}": "a" for number in range(10_000)})),)
    asked["a field of 2 MB"] = (post(form(model="m" * 2_000_000)),)
    asked["no boundary"] = (post(form(), kind="multipart/form-data"),)
    asked["an open end"] = (post(form()[:200]),)
    asked["JSON"] = (post(b'{"picture": "/etc/passwd"}', kind="application/json"),)
    asked["a long header"] = (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 200_000 * b"x" + b"\r\n\r\n",)
    asked["no HTTP"] = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",)
    asked["another host"] = (get("/api/models", host="evil.example"),)
    asked["no host"] = (b"GET /api/models HTTP/1.0\r\n\r\n",)
    asked["another site"] = (post(form(), headers="Origin: http://evil.example\r\n"),)
    asked |= {method: (get("/api/models", method),) for method in ("PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "X")}
    return asked


def test_whoever_asks_for_files_memory_or_time_is_refused(address, secret, watched, size, figure):
    tree = sorted(secret.parent.rglob("*"))
    hostile = requests(secret, size(25, 1000))
    for name, pieces in hostile.items():
        code = status(address, *pieces)
        assert code == 413 if name.startswith("50 MB") else 400 <= code < 500, name
        assert status(address, get("/api/models")) == 200, f"after {name}"
    assert watched == []
    answer = httpx.post(f"{address}/api/translate", files={"picture": ("../../secret.png", png(PHOTO))})
    assert np.array_equal(pixels(answer.content), 255 - PHOTO)  # its name is not looked at
    assert sorted(secret.parent.rglob("*")) == tree
    figure("F6", f"{len(hostile)} hostile requests: {len(hostile)} refused, {len(watched)} files read, server alive")


def test_a_flood_is_told_to_come_later(address, watched, size, figure):
    count = size(40, 400)
    with ThreadPoolExecutor(20) as clients:
        codes = list(clients.map(lambda _: status(address, post(form())), range(count)))
    assert set(codes) == {200, 503}
    assert status(address, post(form())) == 200
    assert watched == []
    figure("F6b", f"{count} requests at once: {codes.count(200)} served, {codes.count(503)} told to come later")


def test_a_file_that_is_opened_would_be_noticed(secret, watched):
    secret.read_bytes()
    assert watched == [str(secret)]


def test_refusals_are_one_line_of_json(address):
    for path in ("/api/examples/..%2fsecret.png", "/nothing", "/api/models/"):
        answer = httpx.get(address + path)
        assert list(json.loads(answer.text)) == ["error"]
        assert "\n" not in answer.text
