"""Pillow images ↔ arrays: every mode as 8-bit grey or RGB, or 16-bit grey, with alpha kept separately."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from cyclegan.images.formats import MAX_PIXELS, File, TooLargeError, open_with_pillow, require_size
from cyclegan.images.gif import as_palette
from cyclegan.images.raster import Raster, Tags, joined

ORIENTATION = 0x0112  # the EXIF tag
DESCRIPTION = 0x010E  # the EXIF and TIFF tag ImageDescription, of ASCII characters
KEY_SCALES = {"L;2": 85, "L;4": 17}  # Pillow scales greys of so few bits to 8, but not the transparent one among them
HOW: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},  # exact: the colors below transparent pixels, too
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}
WHOLE = {"GIF": {"disposal": 2}, "PNG": {"disposal": 0, "blend": 0}}  # each frame of an animation replaces the others
MAX_TOTAL_PIXELS = 5 * MAX_PIXELS  # of all frames, which are held in memory for writing: 120 of 1920×1080


def read_with_pillow(file: File, channels: int, page: int = 0) -> Raster:
    """Read a file, or one page of it.

    Greys have 1 channel if 1 is asked for or if they have more than 8 bits; all other images become RGB.
    """
    with open_with_pillow(file) as picture:
        if page:
            picture.seek(page)
        return _raster(picture, channels)


def read_animation(file: File, channels: int) -> Iterator[Raster]:
    """Read frames one by one, as viewers show them.

    All have one size and are transparent where nothing has been drawn yet.
    """
    with open_with_pillow(file) as picture:
        count = frames_of(picture)
        if count * picture.width * picture.height > MAX_TOTAL_PIXELS:
            size = f"the sum of {count} frames of {picture.width}×{picture.height}"
            raise TooLargeError(size, MAX_TOTAL_PIXELS, "make a film of them")
        for number in range(count):
            picture.seek(number)
            yield _raster(picture, channels)


def frames_of(picture: Image.Image) -> int:
    """Return the number of frames; 1 for MPO, saved by phones as .jpg, whose other images are previews."""
    return 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)


def has_alpha(picture: Image.Image) -> bool:
    """Return whether an image may have transparent pixels; the band A of LAB is a color."""
    return picture.mode != "LAB" and ("A" in picture.getbands() or "transparency" in picture.info)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Convert any Pillow mode to 8-bit RGB: 16-bit greys are scaled, not clipped; alpha is laid on white."""
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(to_8_bit(narrowed(_native(picture)))).convert("RGB")
    if has_alpha(picture):
        return _on_white(picture.convert("RGBA"))
    return picture.convert("RGB")


def flattened(raster: Raster) -> UInt8[np.ndarray, "h w 3"]:
    """Convert a raster of 1 or 3 channels of 8 or 16 bits to 8-bit RGB, laid on white."""
    color = to_8_bit(raster.values)
    if color.shape[2] == 1:
        color = color.repeat(3, axis=2)
    if raster.alpha is None:
        return color
    return np.asarray(_on_white(Image.fromarray(joined(color, to_8_bit(raster.alpha)))))


def to_8_bit(values: np.ndarray) -> np.ndarray:
    """Convert uint8 or uint16 to the nearest level of uint8."""
    return values if values.dtype == np.uint8 else _NEAREST[values]


_NEAREST = (np.arange(65536) / 257).round().astype(np.uint8)


def reduced(raster: Raster, longest: int) -> Raster:
    """Reduce 1 or 3 channels of 8 bits to a longer side of at most `longest` pixels, by antialiased Lanczos.

    Colors are weighted by alpha, so that the colors of transparent pixels do not bleed.
    """
    values = to_8_bit(raster.values)
    alpha = None if raster.alpha is None else to_8_bit(raster.alpha)
    size = _smaller(values.shape, longest)
    if size is not None:
        stored = values if alpha is None else joined(values, alpha)
        small = _from_pillow(_to_pillow(stored).resize(size, Image.Resampling.LANCZOS))
        values, alpha = (small, None) if alpha is None else (small[..., :-1], small[..., -1])
    return Raster(values=values, alpha=alpha, tags=raster.tags)


def _smaller(shape: tuple[int, ...], longest: int) -> tuple[int, int] | None:
    """Return the reduced (width, height), or None if the image is small enough."""
    longer = max(shape[:2])
    if longer <= longest:
        return None
    return max(1, round(shape[1] / longer * longest)), max(1, round(shape[0] / longer * longest))


def _to_pillow(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def _from_pillow(picture: Image.Image) -> np.ndarray:
    """Convert a Pillow image to (h, w, c)."""
    pixels = np.asarray(picture)
    return pixels.reshape(*pixels.shape[:2], -1)


def narrowed(values: np.ndarray, what: str = "") -> np.ndarray:
    """Convert integers of any type to 8 or 16 bits, depending on the range of their values.

    Raises ValueError, which names the file `what`, for all other values.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if values.dtype.kind not in "iu" or low < 0 or high > 65535:
        raise ValueError(
            f"{what or values.dtype} from {low:g} to {high:g}; save it with 8 or 16 bits, or declare its range"
        )
    return values.astype(np.uint16 if high > 255 else np.uint8)


def dpi_of(picture: Image.Image) -> tuple[float, float] | None:
    """Return the resolution, if there is a plausible one.

    Pillow reports 1 for a TIFF file without a resolution, and any value for a damaged file.
    """
    across, down = map(float, picture.info.get("dpi", (0, 0)))
    return (across, down) if 1 < across < 65536 and 1 < down < 65536 else None


def save_with_pillow(
    file: Path | io.BytesIO, frames: Sequence[np.ndarray], form: str, about: str, **options: Any
) -> None:
    """Save uint8 (h, w, c), with alpha if c is 2 or 4, in a format that holds it.

    Options of Pillow: icc_profile, dpi.
    """
    if about:
        options |= {"GIF": {"comment": about}, "BMP": {}}.get(form, {"exif": described(about)})
    first, *others = (as_palette(values) if form == "GIF" else _to_pillow(values) for values in frames)
    if others:
        options |= {"save_all": True, "append_images": others, **WHOLE.get(form, {})}
    first.save(file, format=form, **HOW.get(form, {}), **options)


def described(about: str) -> Image.Exif:
    """Return the EXIF block that stores how an image was made."""
    exif = Image.Exif()
    exif[DESCRIPTION] = about
    return exif


def _raster(picture: Image.Image, channels: int) -> Raster:
    """Convert the current frame to an upright raster."""
    require_size(picture)  # a frame of a GIF may be larger than the first
    _scale_key(picture)
    mode = picture.mode
    picture.load()  # loading sets the duration of a frame
    tags = Tags(icc=picture.info.get("icc_profile"), dpi=dpi_of(picture), mode=mode, **_timing(picture))
    if picture.getexif().get(ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    return _decoded(picture, channels, tags)


def _timing(picture: Image.Image) -> dict[str, Any]:
    told = picture.info
    return {
        "duration": float(told["duration"]) if "duration" in told else None,
        "loop": told.get("loop"),
        "still": bool(told.get("default_image")) and picture.tell() == 0,
    }


def _decoded(picture: Image.Image, channels: int, tags: Tags) -> Raster:
    if picture.mode.startswith(("I", "F")):
        return Raster(values=_native(picture)[..., None], tags=tags)
    one = channels == 1 and picture.mode in ("1", "L", "LA", "La")
    if has_alpha(picture):
        pixels = np.asarray(picture.convert("RGBA"))
        return Raster(values=pixels[..., : 1 if one else 3], alpha=pixels[..., 3], tags=tags)
    mode = "L" if one else "RGB"
    return Raster(values=_from_pillow(picture if picture.mode == mode else picture.convert(mode)), tags=tags)


def _native(picture: Image.Image) -> np.ndarray:
    """Convert pixels to the byte order of this machine."""
    pixels = np.asarray(picture)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _on_white(picture: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _scale_key(picture: Image.Image) -> None:
    key = picture.info.get("transparency")
    if picture.format == "PNG" and picture.mode == "L" and isinstance(key, int):
        picture.info["transparency"] = key * KEY_SCALES.get(str(getattr(picture, "tile", [])[0].args), 1)
