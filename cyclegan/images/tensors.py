"""Image files ↔ tensors: float32 (n, 3, h, w), RGB, in [-1, 1]; files hold 8 bits a channel.

Images of other kinds (cyclegan.images.pixel_format) are (n, c, h, w) in [-1, 1].

`from_bytes` and `to_bytes` invert each other on 8-bit levels: reading and writing leaves an image unchanged.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

from cyclegan.images.pixel_format import Levels, PixelFormat
from cyclegan.images.raster import Raster
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.protocols import AnyImages, Images


def from_bytes(array: np.ndarray) -> Float[Tensor, "1 3 h w"]:
    """Convert uint8 (h, w, 3) in 0…255 to (1, 3, h, w) in [-1, 1]."""
    levels = torch.from_numpy(np.array(array)).permute(2, 0, 1)[None]
    return levels.to(torch.float32).div(127.5).sub(1)


def to_bytes(images: Images) -> UInt8[Tensor, "n h w 3"]:
    """Convert [-1, 1] to the nearest of 256 levels, on the CPU, channels last as in image files."""
    levels = images.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return levels.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_values(values: np.ndarray, kind: PixelFormat) -> Float[Tensor, "1 c h w"]:
    """Convert the values of a file of a kind, (h, w, c), to (1, c, h, w) in [-1, 1]."""
    kind = kind.like(values.dtype.name)
    if kind.is_rgb and kind.type == "uint8":
        return from_bytes(values)
    return torch.from_numpy(kind.levels(values)).permute(2, 0, 1)[None].contiguous()


def from_raster(raster: Raster, kind: PixelFormat) -> Float[Tensor, "1 c h w"]:
    """Convert a raster of a kind, laid on white (which is 1), to (1, c, h, w) in [-1, 1]."""
    image = from_values(raster.values, kind)
    if raster.alpha is None:
        return image
    a = opacity(raster.alpha)
    return torch.where(a == 1, image, a * image + (1 - a))


def opacity(alpha: np.ndarray) -> Float[Tensor, "1 1 h w"]:
    """Convert alpha, uint8 or uint16 (h, w), to 0…1."""
    return torch.from_numpy(alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max))[None, None]


def to_values(image: Float[Tensor, "1 c h w"], kind: PixelFormat) -> np.ndarray:
    """Convert (1, c, h, w) in [-1, 1] to the nearest values of a kind, (h, w, c)."""
    if kind.is_rgb and kind.type == "uint8":
        return to_bytes(image)[0].numpy()
    levels: Levels = image.detach().float().cpu()[0].permute(1, 2, 0).numpy()
    return kind.values(levels)


def read(path: Path) -> Float[Tensor, "1 3 h w"]:
    """Read an image file as a batch of one."""
    return from_bytes(read_picture(path))


def write(path: Path, image: Float[Tensor, "1 3 h w"], *, about: str = "") -> None:
    """Write a batch of one as an image file in the format of the suffix, with 8 bits a channel."""
    write_picture(path, to_bytes(image)[0].numpy(), about)


def blend(source: AnyImages, translated: AnyImages, strength: float) -> AnyImages:
    """Compute (1 - strength) · source + strength · translated; exact at 0 and at 1."""
    return torch.lerp(source, translated, strength)


def false_color(images: AnyImages) -> Float[Tensor, "n 3 h w"]:
    """Convert images of any number of channels to RGB for display.

    One channel becomes grey, two become red and green; of four and more, the first three become RGB.
    """
    channels = images.shape[1]
    if channels == 1:
        return images.expand(-1, 3, -1, -1)
    return images[:, :3] if channels > 2 else torch.cat([images, torch.full_like(images[:, :1], -1.0)], dim=1)


def grid(columns: Sequence[AnyImages], gap: int = 2) -> Float[Tensor, "1 3 H W"]:
    """Arrange images in a table on white: one column for each batch, one row for each image of a batch.

    Images of other kinds are shown in false colors.
    """
    rows = [
        torch.cat([pad(image, (0, gap, 0, gap), value=1.0) for image in row], dim=2)
        for row in zip(*(false_color(column.detach().float().cpu()) for column in columns), strict=True)
    ]
    return pad(torch.cat(rows, dim=1), (gap, 0, gap, 0), value=1.0)[None]
