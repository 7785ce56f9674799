"""Generators of pytorch-CycleGAN-and-pix2pix, the authors' PyTorch code, as releases of ours with the same outputs.

Reads      the state dictionary of a ResnetGenerator with any width and number of blocks, with or without dropout (which
           moves the second convolution of a block by one place), saved by any version of that code.
Keeps      the biases before instance norms, which the norm cancels: their parameters and ours are the same, in order.
Drops      running means and variances of instance norms, which files of 2017 hold. That code normalizes by the image at
           hand all the same unless it is called with --eval; so do we.
Differs    Dropout, if it was trained with any, is off here, as it is there with --eval only.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan import __version__
from cyclegan.config import dump
from cyclegan.errors import UserError
from cyclegan.inference.export import placed
from cyclegan.inference.load import FORMAT
from cyclegan.inference.release import save_release
from cyclegan.methods import build
from cyclegan.methods.settings import CycleGANConfig, GeneratorConfig
from cyclegan.networks.weights import hash_file, read_tensors
from cyclegan.provenance import commit

STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def convert(file: Path, out: Path, x: str | None = None, y: str | None = None) -> str:
    """Write a release of a generator X → Y; returns a line that says what was written."""
    if out.suffix not in (".safetensors", ""):
        raise UserError(f"{out}: is no name for a release; give .safetensors or a folder")
    x, y = _sides(file, x, y)
    if not file.is_file():
        raise UserError(f"{file}: does not exist; give a .pth file of pytorch-CycleGAN-and-pix2pix")
    config, network = read_generator(file)
    about = {
        "format": FORMAT,
        "library": __version__,
        "domain": f"{x}2{y}",
        "x": x,
        "y": y,
        "channels": 3,
        "range": [-1, 1],
        "method": dump(CycleGANConfig(generator=config)),
        "networks": ["G"],
        "commit": commit(),
        "step": 0,  # the file does not say
        "imported": {"file": file.name, "sha256": hash_file(file)},
    }
    with placed(out) as partial:
        save_release(partial, {"G": network}, about)
    return f"{out}: {x} → {y}, {config.blocks} blocks, {config.base_channels} channels at full size"


def read_generator(file: Path) -> tuple[GeneratorConfig, nn.Module]:
    """The settings that fit a file of weights, and a generator that holds them."""
    tensors = _plain(read_tensors(file), file)
    config, theirs = _structure(tensors, file)
    with torch.device("meta"):
        network: nn.Module = build(CycleGANConfig(generator=config)).G
    ours = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    names = {
        f"{their}.{kind}": f"{our}.{kind}"
        for our, their in zip(ours, theirs, strict=True)
        for kind in ("weight", "bias")
    }
    if config.norm == "none":  # ours has all biases
        bare = [f"{their}.bias" for their in theirs[:-1]]
        tensors |= {key: torch.zeros(network.get_parameter(names[key]).shape) for key in bare}
    _require_all(names, tensors, file)
    try:
        network.load_state_dict({our: tensors[their] for their, our in names.items()}, assign=True)
    except RuntimeError as error:
        wrong = str(error).splitlines()[1].strip()
        raise UserError(
            f"{file}: is no ResNet generator of three channels ({wrong[:160]}); give another file"
        ) from error
    return config, network


def _plain(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Finite float32 tensors by the names that the network gave them."""
    plain = {}
    for key, tensor in tensors.items():
        name = key.removeprefix("module.")  # of a network that was spread over several GPUs
        if name.endswith(STATISTICS):
            continue
        if not tensor.is_floating_point() or tensor.layout != torch.strided or not tensor.isfinite().all():
            raise UserError(f"{file}: {name[:60]!r} is no tensor of finite numbers; give another file")
        plain[name] = tensor.detach().float()
    return plain


def _structure(tensors: Mapping[str, Tensor], file: Path) -> tuple[GeneratorConfig, list[str]]:
    """Width, depth and norm, and the names of their convolutions from the image to the result."""
    if any(key.startswith("model.model.") for key in tensors):
        raise UserError(f"{file}: is a U-Net; only ResNet generators can be imported (--netG resnet_9blocks)")
    if "model.2.weight" in tensors:
        raise UserError(
            f"{file}: has batch norms; only generators with instance norms can be imported (--norm instance)"
        )
    blocks = {int(found[1]) for key in tensors if (found := re.match(r"model\.(\d{1,4})\.conv_block\.", key))}
    first = tensors.get("model.1.weight")
    if first is None or first.ndim != 4 or not len(first) or not blocks or blocks != set(range(10, 10 + len(blocks))):
        raise UserError(
            f"{file}: is no ResNet generator of pytorch-CycleGAN-and-pix2pix; give the file of one, "
            "<epoch>_net_G_A.pth or <epoch>_net_G_B.pth"
        )
    second = 6 if "model.10.conv_block.6.weight" in tensors else 5  # dropout comes before
    biases = sum(key.endswith(".bias") for key in tensors)
    norm: Any = "instance" if biases > 1 else "none"  # there, without norms only the last convolution has a bias
    config = GeneratorConfig(base_channels=len(first), blocks=len(blocks), norm=norm)
    return config, list(_convolutions(len(blocks), second))


def _convolutions(blocks: int, second: int) -> Iterator[str]:
    """c7s1-64, d128, d256, two of each block, u128, u64, c7s1-3."""
    yield from ("model.1", "model.4", "model.7")
    for block in range(10, 10 + blocks):
        yield from (f"model.{block}.conv_block.1", f"model.{block}.conv_block.{second}")
    yield from (f"model.{10 + blocks}", f"model.{13 + blocks}", f"model.{17 + blocks}")


def _require_all(names: Mapping[str, str], tensors: Mapping[str, Tensor], file: Path) -> None:
    """All that a generator has, and nothing else."""
    missing = [key for key in names if key not in tensors]
    unknown = [key for key in tensors if key not in names]
    if missing or unknown:
        said = f"lacks {missing[0]}" if missing else f"has {unknown[0][:60]!r}, which is no part of a ResNet generator"
        more = f" (and {len(missing) + len(unknown) - 1} more)" if len(missing) + len(unknown) > 1 else ""
        raise UserError(f"{file}: {said}{more}; give the whole file of a generator")


def _sides(file: Path, x: str | None, y: str | None) -> tuple[str, str]:
    """As given, or as the name of the file says it: horse2zebra."""
    said = re.fullmatch(r"([a-z]+)2([a-z]+)", file.stem)
    if said and x is None and y is None:
        return said[1], said[2]
    if not x or not y or x == y:
        raise UserError(f"{file}: name what goes in and what comes out: --x horse --y zebra")
    return x, y
