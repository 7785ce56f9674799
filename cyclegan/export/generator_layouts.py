"""Layouts of generators from other projects: the names of their layers, and the settings that fit them.

pytorch-CycleGAN-and-pix2pix      ResnetGenerator of any width and number of blocks, with or without dropout,
                                  which shifts the second convolution of a block by one index; UnetGenerator.
contrastive-unpaired-translation  The ResNet of CUT, with its blurs in down-sampling, up-sampling, both or
                                  none. The filters are in the file and are compared: [1 2 1]²/16 before every
                                  second pixel is taken, and [1 3 3 1]²/16 between zeros, which is bilinear
                                  interpolation.
PyTorch-GAN                       GeneratorResNet, whose up-sampling repeats pixels.

In these projects the convolutions after both kinds of interpolation are padded with zeros.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from cyclegan.images.pixel_format import MOST
from cyclegan.networks.network_config import GeneratorConfig, Norm, UnetConfig

UNKNOWN = (
    "is no generator of pytorch-CycleGAN-and-pix2pix, CUT or PyTorch-GAN; "
    "give the file of one, as <epoch>_net_G_A.pth or G_AB_<epoch>.pth"
)
Tensors = Mapping[str, Tensor]

BLOCK = re.compile(r"model\.(\d{1,4})\.(conv_block|block)\.")
SMOOTHING = torch.tensor([1.0, 2.0, 1.0]) / 4
BILINEAR = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4


class LayoutError(ValueError):
    """Error for tensors that no generator of this library reproduces; the message gives the reason."""


@dataclass(frozen=True)
class Layout:
    """Layout of another project's generator: fitting settings, and the names of its layers in order."""

    config: GeneratorConfig | UnetConfig
    channels: tuple[int, int]  # of the images it takes and gives
    convolutions: list[str]
    norms: list[str]
    filters: Mapping[str, Tensor] = field(default_factory=dict)  # constant filter rows there, without weights here


def is_generator(names: Mapping[str, object]) -> bool:
    """Return whether the layers of a generator are among these names."""
    return ("model.1.weight" in names and any(map(BLOCK.match, names))) or "model.model.0.weight" in names


def find_layout(tensors: Tensors) -> Layout:
    """Find the layout of a state dictionary. Raises LayoutError."""
    depth = _depth(tensors)
    first = tensors.get("model.model.0.weight" if depth else "model.1.weight")
    if first is None or first.ndim != 4 or not first.numel():
        raise LayoutError(UNKNOWN)
    layout = _unet(tensors, depth, first) if depth else _resnet(tensors, first)
    if max(layout.channels) > MOST:
        raise LayoutError(f"has images of {max(layout.channels)} channels, more than {MOST}; give another file")
    return layout


def _resnet(tensors: Tensors, first: Tensor) -> Layout:
    """Return the layout of a ResNet: c7s1-64, d128, d256, two of each block, u128, u64, c7s1-3.

    Each layer but the last is followed by a norm at the next index.
    """
    found = {(int(match[1]), match[2]) for key in tensors if (match := BLOCK.match(key))}
    name = next(iter({name for _, name in found}), "")
    blurred = "model.7.filt" in tensors
    begin, down = (12, 4) if blurred else (10, 3)  # the first block, and places of a down-sampling
    if not found or found != {(begin + i, name) for i in range(len(found))}:
        raise LayoutError(UNKNOWN)
    end = begin + len(found)
    upsampling = _upsampling(tensors, end, name)
    up, skipped = (3, 0) if upsampling == "transposed" else (4, 1)  # interpolation has a place of its own
    second = 5 if f"model.{begin}.{name}.5.weight" in tensors else 6  # dropout comes before
    convolutions = [f"model.{at}" for at in (1, 4, 4 + down)]
    convolutions += [f"model.{at}.{name}.{place}" for at in range(begin, end) for place in (1, second)]
    convolutions += [f"model.{at + skipped}" for at in (end, end + up)]
    last = f"model.{end + 2 * up + 1}"
    norms = [re.sub(r"\d+$", lambda place: str(int(place[0]) + 1), convolution) for convolution in convolutions]
    filters = {f"model.{at}.filt": SMOOTHING for at in (7, 11) if blurred}
    filters |= {f"model.{at}.filt": BILINEAR for at in (end, end + up) if upsampling == "blur_zeros"}
    config = GeneratorConfig(
        base_channels=len(first),
        blocks=len(found),
        downsampling="blur" if blurred else "strided",
        upsampling=upsampling,
        norm=_norm(tensors, norms),
    )
    layout = Layout(config, (first.shape[1], _given(tensors, last, 0)), [*convolutions, last], norms, filters)
    _require_same_result(tensors, layout, name)
    return layout


def _upsampling(tensors: Tensors, end: int, name: str) -> Literal["transposed", "resize_zeros", "blur_zeros"]:
    """Find the kind of up-sampling from the weights, or the filter, at the index after the blocks."""
    if f"model.{end}.filt" in tensors:
        return "blur_zeros"
    return "resize_zeros" if name == "block" else "transposed"


def _require_same_result(tensors: Tensors, layout: Layout, name: str) -> None:
    if name == "block" and layout.channels != (3, 3):
        raise LayoutError(
            f"takes images of {layout.channels[0]} channels, for which PyTorch-GAN pads its first and last "
            "convolution by as many pixels instead of 3, which changes the size; give a generator of 3 channels"
        )
    for key, row in layout.filters.items():
        expected = row[:, None] * row
        there = tensors.get(key)
        if there is None or there.shape[1:] != (1, *expected.shape) or not torch.allclose(there.float(), expected):
            found = "1 2 1" if len(row) == 3 else "1 3 3 1"
            raise LayoutError(f"has another filter in {key} than [{found}] of CUT; give a generator with that")


def _unet(tensors: Tensors, depth: int, first: Tensor) -> Layout:
    """Return the layout of a U-Net: the encoder, then the decoder.

    Each size is nested in the next larger one. The outermost convolutions and the innermost one of the
    encoder have no norm.
    """
    inner = [_level(i) for i in range(1, depth)]
    between, middle = inner[:-1], inner[-1]
    down = ["model.model.0", *(f"{level}.1" for level in inner)]
    up = [f"{middle}.3", *(f"{level}.5" for level in reversed(between)), "model.model.3"]
    norms = [f"{level}.2" for level in between] + [f"{middle}.4"] + [f"{level}.6" for level in reversed(between)]
    config = UnetConfig(base_channels=len(first), downsamplings=depth, norm=_norm(tensors, norms))
    return Layout(config, (first.shape[1], _given(tensors, up[-1], 1)), down + up, norms)


def _level(i: int) -> str:
    """Return the prefix of the layers of a size; each size is half the one before."""
    return "model.model.1.model" + (i - 1) * ".3.model"


def _depth(tensors: Tensors) -> int:
    """Count the down-samplings of a U-Net; 0 if it is none."""
    depth = 1
    while f"{_level(depth)}.1.weight" in tensors:
        depth += 1
    return depth if depth > 1 else 0


def _norm(tensors: Tensors, norms: list[str]) -> Norm:
    """Find the kind of norm from the names of the weights.

    In these projects only the last convolution has a bias in networks without norms or with batch norms.
    """
    if f"{norms[0]}.weight" in tensors:
        return "batch"
    return "instance" if sum(key.endswith(".bias") for key in tensors) > 1 else "none"


def _given(tensors: Tensors, last: str, axis: int) -> int:
    """Return the number of channels of the result; 3 if its layer is missing or broken.

    A missing layer is reported later.
    """
    weight = tensors.get(f"{last}.weight")
    return weight.shape[axis] if weight is not None and weight.ndim == 4 and weight.shape[axis] else 3
