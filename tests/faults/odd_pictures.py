"""Pictures as files: good ones of every format, and odd ones, of which most are none."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

KINDS = {"png": {}, "jpg": {"quality": 90}, "webp": {"lossless": True}, "tif": {"compression": "tiff_lzw"}, "bmp": {}}


def encoded(kind: str, picture: Image.Image | None = None, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = picture or Image.fromarray(pixels).resize((61, 47), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    with_exif = {} if kind == "bmp" else {"exif": exif}
    form = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
    picture.save(file, form, **KINDS.get(kind, {}) | with_exif | options)
    return file.getvalue()


def png(width: int, height: int, data: bytes = b"", bits: int = 8, color: int = 2, extra: bytes = b"") -> bytes:
    """A PNG of any claims."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A comment that is 64 MB when unpacked."""
    content = b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
    extra = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return png(1, 1, zlib.compress(bytes(4)), extra=extra)


def animated(form: str) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (9, 7), (shade, 0, 0)) for shade in range(0, 250, 50)]
    frames[0].save(file, form, save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


ODD: dict[str, tuple[bytes, bool]] = {  # content, and whether it is a picture all the same
    "bomb-12000.png": (png(12_000, 12_000, zlib.compress(bytes(100))), False),
    "bomb-30000.png": (png(30_000, 30_000, zlib.compress(bytes(100))), False),
    "bomb-2e31.png": (png(2**31 - 1, 2**31 - 1), False),
    "bomb-30000.bmp": (b"BM" + struct.pack("<6IHH6I", 54, 0, 54, 40, 30_000, 30_000, 1, 24, *[0] * 6), False),
    "bomb-text.png": (text_bomb(), False),
    "no-pixels.png": (png(0, 5), False),
    "few-pixels.png": (png(50, 50, zlib.compress(bytes(10))), False),
    "empty.png": (b"", False),
    "text.png": (b"hello, I am a picture\n", False),
    "page.jpg": (b"<html>404</html>", False),
    "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
    "moving.gif.png": (animated("GIF"), True),
    "float.tif": (encoded("tif", Image.fromarray(np.zeros((4, 4), np.float32))), False),
    "dot.png": (encoded("png", Image.new("RGB", (1, 1))), True),
    "line.jpg": (encoded("jpg", Image.new("RGB", (1, 300))), True),
    "deep.png": (encoded("png", Image.fromarray(np.full((4, 4), 40_000, np.uint16))), True),
    "print.jpg": (encoded("jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0))), True),
    "sprite.png": (encoded("png", Image.new("RGBA", (8, 8), (9, 9, 9, 0)).quantize()), True),
    "glass.webp": (encoded("webp", Image.new("RGBA", (8, 8), (9, 9, 9, 0))), True),
    "moving.webp": (animated("WEBP"), True),
    "moving.png": (animated("PNG"), True),
    "turned.jpg": (encoded("jpg"), True),
    "really-jpeg.png": (encoded("jpg"), True),
}  # fmt: skip
