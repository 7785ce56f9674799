"""The one pixel convention: images are float32 (n, 3, h, w), RGB, in [-1, 1]; files hold 8 bits a channel.

`from_bytes` and `to_bytes` are each other's inverse on 8-bit levels: a picture survives reading and writing unchanged.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
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
    levels = images.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return levels.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous()


def read(path: Path) -> Float[Tensor, "1 3 h w"]:
    """A picture file as a batch of one."""
    return from_bytes(read_picture(path))


def write(path: Path, image: Float[Tensor, "1 3 h w"]) -> None:
    """A batch of one as a picture file in the format of the suffix."""
    write_picture(path, to_bytes(image)[0].numpy())


def grid(columns: Sequence[Images], gap: int = 2) -> Float[Tensor, "1 3 H W"]:
    """One picture of a table of images: one column for each batch, one row for each image of a batch, on white."""
    rows = [
        torch.cat([pad(image, (0, gap, 0, gap), value=1.0) for image in row], dim=2)
        for row in zip(*(column.detach().float().cpu() for column in columns), strict=True)
    ]
    return pad(torch.cat(rows, dim=1), (gap, 0, gap, 0), value=1.0)[None]
