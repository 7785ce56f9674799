"""Picture files ↔ rasters: what comes in can go out the same, in type, range, channels, size, profile and resolution.

By content NPY and TIFF by cyclegan.pixels.arrays, PNG of 16 bits by cyclegan.pixels.png, all others by Pillow.
Orientation is applied, and not written; alpha is set apart and put back, and what it covers is laid on white.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cyclegan.errors import UserError
from cyclegan.pictures import ARRAY, FORMATS, described, open_picture, reading, require_size, to_rgb, write_picture
from cyclegan.pixels import arrays, png
from cyclegan.pixels.gif import as_palette
from cyclegan.pixels.kind import HIGHEST, RGB, Kind
from cyclegan.pixels.raster import Raster, Tags, split, upright

NPY, TIFF = b"\x93NUMPY", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # what a file begins with
ORIENTATION = 0x0112  # the EXIF tag
CLEAR = {"GIF", "PNG", "TIFF", "WEBP"}  # formats that have an alpha channel
ROOM = {  # channels and types that a format holds; TIFF and NPY hold all
    "PNG": ((1, 3, 4), ("uint8", "uint16")),
    "JPEG": ((1, 3), ("uint8",)),
    "BMP": ((1, 3), ("uint8",)),
    "WEBP": ((3,), ("uint8",)),
    "GIF": ((1, 3), ("uint8",)),
}


def holds(suffix: str, kind: Kind) -> bool:
    """Whether a format has room for a kind; of an unknown one it is said when it is written."""
    channels, types = ROOM.get(FORMATS.get(suffix.lower(), ""), ((kind.channels,), (kind.type,)))
    return kind.channels in channels and kind.type in types


def read_raster(path: Path, kind: Kind) -> Raster:
    """A file of a kind; the values keep the type they are stored in. Raises BadPictureError for a file of another."""
    with reading(path, path):
        return fitted(stored(path, kind.channels), kind)


def fitted(raster: Raster, kind: Kind) -> Raster:
    """Channels and type as the kind wants them. Raises ValueError for what it cannot become."""
    values, found = raster.values, raster.values.shape[2]
    if found == 1 and kind.channels == 3:
        values = values.repeat(3, axis=2)
    elif found != kind.channels:
        raise ValueError(f"{_many(found)}, where {kind.channels} are expected")
    if kind.range is None and values.dtype.name not in HIGHEST:
        values = _narrowed(values)
    return Raster(values=values, alpha=raster.alpha, tags=raster.tags)


def profile_of(picture: Image.Image) -> bytes | None:
    """What the colors of its 8-bit RGB pixels mean, where it says so."""
    return Tags(icc=picture.info.get("icc_profile")).profile(3)


def read_profile(path: Path, content: bytes | None = None) -> bytes | None:
    """The same of a file; `content` as of `open_picture`."""
    with open_picture(path, content) as picture:
        return profile_of(picture)


def kind_of(path: Path, channels: int, range: tuple[float, float] | None, key: str) -> Kind:
    """The kind of a side, by its settings and one of its files; `key` is the setting that declares its range."""
    if channels == 3 and range is None:
        return RGB
    with reading(path, path):
        found = stored(path, channels).values.dtype.name
    if range is None and found not in HIGHEST:
        raise UserError(f"{path}: holds {found}, whose range nobody knows; declare it, as in {key}: [0, 1]")
    return Kind(channels=channels, type=found, range=range)


def write_raster(path: Path, raster: Raster, about: str) -> None:
    """In the format of the suffix, which has room for it; an alpha channel goes where there is room for one."""
    form = FORMATS.get(path.suffix.lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    values, tags = raster.values, raster.tags
    deep, channels = values.dtype != np.uint8, values.shape[2]
    alpha = _alpha(raster) if form in CLEAR and values.dtype.name in HIGHEST and channels in (1, 3) else None
    if path.suffix.lower() == ARRAY:
        return arrays.write_npy(path, values, tags)
    if form == "TIFF" and (deep or alpha is not None or channels not in (1, 3)):
        return arrays.write_tiff(path, values, alpha, tags, about)
    if form == "GIF":
        return as_palette(values, alpha).save(path, comment=about)
    if alpha is not None:
        values = np.dstack([values, alpha])
    if form == "PNG" and deep:
        exif = described(about).tobytes().removeprefix(b"Exif\0\0") if about else b""
        path.write_bytes(png.encode(values, tags, exif))
        return None
    profile = {"icc_profile": tags.profile(channels)} if tags.profile(channels) else {}
    dpi = {"dpi": tags.dpi} if tags.dpi and form != "WEBP" else {}
    return write_picture(path, values[..., 0] if values.shape[2] == 1 else values, about, **profile, **dpi)


def is_tiff(path: Path) -> bool:
    """Check the first bytes of a file, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) in TIFF


def stored(path: Path, channels: int, page: int | None = None) -> Raster:
    """Content of a file, or of a page of a TIFF file, in as many channels as are asked for where it has them."""
    with path.open("rb") as file:
        head = file.read(6)
    if head == NPY:
        return arrays.read_npy(path)
    if head.startswith(TIFF) and not arrays.is_simple_tiff(path, page):
        return arrays.read_tiff(path, channels, page)
    mode = png.deep_mode(path)
    with open_picture(path) as picture:
        if page:
            picture.seek(page)
            require_size(path, picture)
        turned = picture.getexif().get(ORIENTATION, 1) if mode else 1
        tags = tags_of(picture)
        if mode is None:
            return decoded(ImageOps.exif_transpose(picture), channels, tags)
    values = upright(png.decode(path, mode), turned)
    return split(values, tags) if mode == "RGBA" and channels != 4 else Raster(values=values, tags=tags)


def tags_of(picture: Image.Image) -> Tags:
    """Profile, resolution and, of an animation, the timing of the frame that was loaded."""
    told = picture.info
    return Tags(
        icc=told.get("icc_profile"),
        dpi=_dpi(picture),
        duration=float(told["duration"]) if "duration" in told else None,
        loop=told.get("loop"),
        still=bool(told.get("default_image")) and picture.tell() == 0,
    )


def reduced_to_8_bits(values: np.ndarray) -> np.ndarray:
    """uint8 as it is; uint16 rounded to 8 bits."""
    return values if values.dtype == np.uint8 else (values / 257).round().astype(np.uint8)


def decoded(picture: Image.Image, channels: int, tags: Tags) -> Raster:
    """What Pillow has read, in a number of channels that is as near to what is asked for as the picture has them."""
    if picture.mode.startswith(("I", "F")):
        return Raster(values=np.asarray(picture)[..., None], tags=tags)
    alpha = None
    if "A" in picture.getbands() or "transparency" in picture.info:
        if channels == 4 and picture.mode == "RGBA":
            return Raster(values=np.asarray(picture), tags=tags)
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    one = channels == 1 and picture.mode in ("1", "L", "LA", "La")
    color = to_rgb(picture).convert("L") if one else to_rgb(picture)
    return Raster(values=np.asarray(color).reshape(*color.size[::-1], -1), alpha=alpha, tags=tags)


def _dpi(picture: Image.Image) -> tuple[float, float] | None:
    """Pillow gives 1 for a TIFF file that says nothing, and whatever a damaged file says."""
    across, down = map(float, picture.info.get("dpi", (0, 0)))
    return (across, down) if 1 < across < 65536 and 1 < down < 65536 else None


def _narrowed(values: np.ndarray) -> np.ndarray:
    """Integers of other types with 8 or 16 bits, by the range they use."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f" or low < 0 or high > HIGHEST["uint16"]:
        raise ValueError(
            f"pixels of type {values.dtype} from {low} to {high}; save it with 8 or 16 bits, or declare their range"
        )
    return values.astype(np.uint16 if high > HIGHEST["uint8"] else np.uint8)


def _alpha(raster: Raster) -> np.ndarray | None:
    """In the type of the values, which may be that of another side."""
    kind, alpha = raster.values.dtype, raster.alpha
    if alpha is None or alpha.dtype == kind:
        return alpha
    return (alpha / HIGHEST[alpha.dtype.name] * HIGHEST[kind.name]).round().astype(kind)


def _many(channels: int) -> str:
    return f"{channels} channel{'s' * (channels > 1)}"
