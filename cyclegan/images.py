"""The one pixel convention: images are float32 (n, 3, h, w), RGB, in [-1, 1]; files hold 8 bits a channel, or 16.

`from_bytes` and `to_bytes` are each other's inverse on 8-bit levels: a picture survives reading and writing unchanged.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8, UInt16
from torch import Tensor
from torch.nn.functional import pad

from cyclegan.pictures import read_picture, write_picture
from cyclegan.protocols import Images


def from_bytes(array: np.ndarray) -> Float[Tensor, "1 3 h w"]:
    """uint8 (h, w, 3) in 0…255 → (1, 3, h, w) in [-1, 1]."""
    levels = torch.from_numpy(np.array(array)).permute(2, 0, 1)[None]
    return levels.to(torch.float32).div(127.5).sub(1)


def to_bytes(images: Images) -> UInt8[Tensor, "n h w 3"]:
    """[-1, 1] → the nearest of 256 levels, on the CPU, channels last as picture files want them."""
    return _to_levels(images, 255, torch.uint8)


def to_16_bits(images: Images) -> UInt16[Tensor, "n h w 3"]:
    """[-1, 1] → the nearest of 65,536 levels, likewise."""
    return _to_levels(images, 65535, torch.uint16)


def _to_levels(images: Images, highest: int, kind: torch.dtype) -> Shaped[Tensor, "n h w 3"]:
    levels = images.detach().float().add(1).mul(highest / 2).round().clamp(0, highest)
    return levels.to("cpu", kind).permute(0, 2, 3, 1).contiguous()


def read(path: Path) -> Float[Tensor, "1 3 h w"]:
    """A picture file as a batch of one."""
    return from_bytes(read_picture(path))


def write(path: Path, image: Float[Tensor, "1 3 h w"], *, bits: int = 8, about: str = "") -> None:
    """A batch of one as a picture file in the format of the suffix, with 8 or 16 bits a channel."""
    levels = to_bytes(image) if bits == 8 else to_16_bits(image)
    write_picture(path, levels[0].numpy(), about)


def blend(source: Images, translated: Images, strength: float) -> Images:
    """(1 - strength) · source + strength · translated, and exactly one of the two at 0 and at 1."""
    return torch.lerp(source, translated, strength)


def grid(columns: Sequence[Images], gap: int = 2) -> Float[Tensor, "1 3 H W"]:
    """One picture of a table of images: one column for each batch, one row for each image of a batch, on white."""
    rows = [
        torch.cat([pad(image, (0, gap, 0, gap), value=1.0) for image in row], dim=2)
        for row in zip(*(column.detach().float().cpu() for column in columns), strict=True)
    ]
    return pad(torch.cat(rows, dim=1), (gap, 0, gap, 0), value=1.0)[None]
