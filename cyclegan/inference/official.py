"""Generators of pytorch-CycleGAN-and-pix2pix, the authors' PyTorch code, as releases of ours with the same outputs.

Reads      the state dictionary of a ResnetGenerator of any width and number of blocks, with or without dropout (which
           moves the second convolution of a block by one place), or of a UnetGenerator; of any version of that code.
Keeps      the biases before instance norms, which the norm cancels: their parameters and ours are the same, in order.
Drops      running means and variances of instance norms, which files of 2017 hold. That code normalizes by the image at
           hand all the same unless it is called with --eval; so do we.
Differs    Batch norms go by their running statistics and dropout is off, as there with --eval only.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan.config import dump
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.inference.export import placed
from cyclegan.inference.release import save_release
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.build import build_generator
from cyclegan.networks.settings import GeneratorConfig, UnetConfig
from cyclegan.networks.weights import hash_file, read_tensors
from cyclegan.provenance import commit
from cyclegan.release import describe

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
        "domain": None,  # whatever the names, the file does not say which images it was trained on
        "method": dump(CycleGANConfig(generator=config)),
        "networks": ["G"],
        "commit": commit(),
        "step": 0,  # the file does not say how many
        "imported": {"file": file.name, "sha256": hash_file(file)},
    }
    about = describe(DataSpec(names={"x": x, "y": y}), [y], **about)
    with placed(out) as partial:
        save_release(partial, {"G": network}, about)
    return f"{out}: {x} → {y}, {_said(config)} of {config.base_channels} channels at full size"


def read_generator(file: Path) -> tuple[GeneratorConfig | UnetConfig, nn.Module]:
    """The settings that fit a file of weights, and a generator that holds them."""
    tensors = {key.removeprefix("module."): tensor for key, tensor in read_tensors(file).items()}  # of several GPUs
    config, convolutions, norms = _structure(tensors, file)
    with torch.device("meta"):
        network = build_generator(config)
    theirs = convolutions + (norms if config.norm == "batch" else [])
    ours = [*_named(network, nn.Conv2d | nn.ConvTranspose2d), *_named(network, nn.BatchNorm2d)]
    names = {
        f"{their}.{key}": f"{our}.{key}"
        for our, their in zip(ours, theirs, strict=True)
        for key in network.get_submodule(our).state_dict()
    }
    tensors = _plain(tensors, names, file)
    if config.norm == "none":  # ours has all biases
        bare = [f"{convolution}.bias" for convolution in convolutions[:-1]]
        tensors |= {key: torch.zeros(network.get_parameter(names[key]).shape) for key in bare}
    _require_all(names, tensors, file)
    try:
        network.load_state_dict({our: tensors[their] for their, our in names.items()}, assign=True)
    except RuntimeError as error:
        wrong = str(error).splitlines()[1].strip()
        raise UserError(f"{file}: is no generator of three channels ({wrong[:160]}); give another file") from error
    return config, network


def _said(config: GeneratorConfig | UnetConfig) -> str:
    if isinstance(config, UnetConfig):
        return f"a U-Net of {config.downsamplings} sizes"
    return f"a ResNet with {config.blocks} blocks"


def _named(network: nn.Module, kind: Any) -> list[str]:
    """The layers of a kind, from the image to the result."""
    return [name for name, layer in network.named_modules() if isinstance(layer, kind)]


def _plain(tensors: Mapping[str, Tensor], names: Mapping[str, str], file: Path) -> dict[str, Tensor]:
    """Finite float32 tensors, and the counters of batch norms, of which nothing depends and old files have none."""
    plain = {name: torch.tensor(0) for name in names if name.endswith("num_batches_tracked")}
    for name, tensor in tensors.items():
        if name in plain or (name.endswith(STATISTICS) and name not in names):
            continue
        if not tensor.is_floating_point() or tensor.layout != torch.strided or not tensor.isfinite().all():
            raise UserError(f"{file}: {name[:60]!r} is no tensor of finite numbers; give another file")
        plain[name] = tensor.detach().float()
    return plain


def _structure(tensors: Mapping[str, Tensor], file: Path) -> tuple[GeneratorConfig | UnetConfig, list[str], list[str]]:
    """The settings, and the names of the convolutions and the norms there, from the image to the result."""
    depth = _depth(tensors)
    blocks = {int(found[1]) for key in tensors if (found := re.match(r"model\.(\d{1,4})\.conv_block\.", key))}
    first = tensors.get("model.model.0.weight" if depth else "model.1.weight")
    if first is None or first.ndim != 4 or not len(first) or blocks != set(range(10, 10 + len(blocks))):
        raise UserError(
            f"{file}: is no generator of pytorch-CycleGAN-and-pix2pix; give the file of one, "
            "<epoch>_net_G_A.pth or <epoch>_net_G_B.pth"
        )
    second = 5 if "model.10.conv_block.5.weight" in tensors else 6  # dropout comes before
    convolutions, norms = _unet(depth) if depth else _resnet(len(blocks), second)
    norm: Any = "none"  # there, without norms and with batch norms only the last convolution has a bias
    if f"{norms[0]}.weight" in tensors:
        norm = "batch"
    elif sum(key.endswith(".bias") for key in tensors) > 1:
        norm = "instance"
    if depth:
        return UnetConfig(base_channels=len(first), downsamplings=depth, norm=norm), convolutions, norms
    return GeneratorConfig(base_channels=len(first), blocks=len(blocks), norm=norm), convolutions, norms


def _resnet(blocks: int, second: int) -> tuple[list[str], list[str]]:
    """c7s1-64, d128, d256, two of each block, u128, u64, c7s1-3; each but the last with a norm at the next place."""
    places = [("model", 1), ("model", 4), ("model", 7)]
    for block in range(10, 10 + blocks):
        places += [(f"model.{block}.conv_block", 1), (f"model.{block}.conv_block", second)]
    places += [("model", 10 + blocks), ("model", 13 + blocks), ("model", 17 + blocks)]
    return [f"{at}.{place}" for at, place in places], [f"{at}.{place + 1}" for at, place in places[:-1]]


def _unet(depth: int) -> tuple[list[str], list[str]]:
    """The encoder, then the decoder; each size lies inside the larger one. No norms outermost and in the middle."""
    inner = [_level(i) for i in range(1, depth)]
    between, middle = inner[:-1], inner[-1]
    down = ["model.model.0", *(f"{level}.1" for level in inner)]
    up = [f"{middle}.3", *(f"{level}.5" for level in reversed(between)), "model.model.3"]
    norms = [f"{level}.2" for level in between] + [f"{middle}.4"] + [f"{level}.6" for level in reversed(between)]
    return down + up, norms


def _level(i: int) -> str:
    """Where the layers of a size are, each half of the one before."""
    return "model.model.1.model" + (i - 1) * ".3.model"


def _depth(tensors: Mapping[str, Tensor]) -> int:
    """How many down-samplings a U-Net has; 0 if it is none."""
    depth = 1
    while f"{_level(depth)}.1.weight" in tensors:
        depth += 1
    return depth if depth > 1 else 0


def _require_all(names: Mapping[str, str], tensors: Mapping[str, Tensor], file: Path) -> None:
    """All that a generator has, and nothing else."""
    missing = [key for key in names if key not in tensors]
    unknown = [key for key in tensors if key not in names]
    if missing or unknown:
        said = f"lacks {missing[0]}" if missing else f"has {unknown[0][:60]!r}, which is no part of such a generator"
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
