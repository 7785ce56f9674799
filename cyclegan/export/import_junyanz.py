"""Conversion of generators of pytorch-CycleGAN-and-pix2pix and its relatives to releases of equal output.

Reads      a state dictionary of any layout in cyclegan.export.generator_layouts: plain, wrapped by
           DataParallel or torch.compile, or one of several networks in nested dictionaries, as trainers save
           them.
Keeps      the biases before instance norms, which the norm cancels: both networks have the same parameters,
           in the same order.
Drops      running means and variances of instance norms, which files of 2017 hold. That code still normalizes
           by the current image unless it is called with --eval; this library does the same.
Differs    Batch norms use their running statistics and dropout is off, as in that code with --eval only.
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
from cyclegan.export.generator_layouts import UNKNOWN, Layout, find_layout, is_generator
from cyclegan.export.graph_files import atomic_output
from cyclegan.export.model_card import save_release
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.build import build_generator
from cyclegan.networks.network_config import GeneratorConfig, UnetConfig
from cyclegan.networks.weights import hash_file, read_nested
from cyclegan.release import describe
from cyclegan.training.provenance import commit

WRAPPERS = ("module", "_orig_mod")  # of DataParallel and of torch.compile
FIRST = re.compile(r"(?<![^.])model\.(1|model\.0)\.weight$")  # the first convolution
MOST_HEADS = 200  # a U-Net has one for each size
STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")


def convert(file: Path, out: Path, x: str | None = None, y: str | None = None, key: str | None = None) -> str:
    """Write a release of a generator X → Y; return a line that says what was written.

    key  The name of the generator in a file that holds several: netG_A, or state_dict.netG_A.
    """
    if out.suffix not in (".safetensors", ""):
        raise UserError(f"{out}: is no name for a release; give .safetensors or a folder")
    x, y = _sides(file, x, y)
    if not file.is_file():
        raise UserError(f"{file}: does not exist; give a .pth file of a generator")
    config, network = read_generator(file, key)
    given, made = _channels(network)
    identity = CycleGANConfig.lambda_identity if given == made else 0.0  # G(y) needs as many channels as y has
    about = {
        "domain": None,  # whatever the names, the file does not say which images it was trained on
        "method": dump(CycleGANConfig(generator=config, lambda_identity=identity)),
        "networks": ["G"],
        "commit": commit(),
        "step": 0,  # the file does not say how many
        "imported": {"file": file.name, "sha256": hash_file(file)},
    }
    about = describe(_spec(x, y, given, made), [y], **about)
    with atomic_output(out) as partial:
        save_release(partial, {"G": network}, about)
    kinds = "" if given == made == 3 else f", from images of {given} to images of {made} channels"
    return f"{out}: {x} → {y}, {_said(config)} of {config.base_channels} channels at full size{kinds}"


def _spec(x: str, y: str, channels_x: int, channels_y: int) -> DataSpec:
    formats = {"x": PixelFormat(channels=channels_x), "y": PixelFormat(channels=channels_y)}
    return DataSpec(names={"x": x, "y": y}, formats=formats)


def read_generator(file: Path, key: str | None = None) -> tuple[GeneratorConfig | UnetConfig, nn.Module]:
    """Return the settings that fit a file of weights, and a generator that holds them."""
    tensors = _chosen(_generators(file), file, key)
    layout = _layout(tensors, file)
    with torch.device("meta"):
        network = build_generator(layout.config, *layout.channels)
    theirs = layout.convolutions + (layout.norms if layout.config.norm == "batch" else [])
    ours = [*_named(network, nn.Conv2d | nn.ConvTranspose2d), *_named(network, nn.BatchNorm2d)]
    names = {
        f"{their}.{key}": f"{our}.{key}"
        for our, their in zip(ours, theirs, strict=True)
        for key in network.get_submodule(our).state_dict()
    }
    tensors = _plain({name: tensors[name] for name in tensors if name not in layout.filters}, names, file)
    if layout.config.norm == "none":  # this library's network has all biases
        bare = [f"{convolution}.bias" for convolution in layout.convolutions[:-1]]
        tensors |= {key: torch.zeros(network.get_parameter(names[key]).shape) for key in bare}
    _require_all(names, tensors, file)
    try:
        network.load_state_dict({our: tensors[their] for their, our in names.items()}, assign=True)
    except RuntimeError as error:
        wrong = str(error).splitlines()[1].strip()
        raise UserError(f"{file}: its layers do not fit each other ({wrong[:160]}); give another file") from error
    return layout.config, network


def _channels(network: nn.Module) -> tuple[int, int]:
    """Return the number of channels of the images that a generator takes and of those that it returns."""
    first, *_, last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return first.in_channels, last.out_channels


def _generators(file: Path) -> dict[str, dict[str, Tensor]]:
    """Return every generator in the file, by the prefix of its keys.

    The prefix is "" for a plain state dictionary, or for example "state_dict.netG_A".
    """
    tensors: dict[str, Tensor] = {}
    for key, tensor in read_nested(file).items():
        name = _unwrapped(key)
        if name in tensors:
            raise UserError(f"{file}: holds {name[:60]!r} twice, wrapped and not; give a file of one network")
        tensors[name] = tensor
    heads = {key[: found.start()] for key in tensors if (found := FIRST.search(key))}
    if len(heads) > MOST_HEADS:
        raise UserError(f"{file}: holds {len(heads):,} networks; give a file of one")
    below = {head: {key.removeprefix(head): t for key, t in tensors.items() if key.startswith(head)} for head in heads}
    return {head.rstrip("."): inside for head, inside in sorted(below.items()) if is_generator(inside)}


def _chosen(generators: Mapping[str, dict[str, Tensor]], file: Path, key: str | None) -> dict[str, Tensor]:
    """Return the only generator, or the one that `key` selects."""
    if not generators:
        raise UserError(f"{file}: {UNKNOWN}")
    wanted = None if key is None else _unwrapped(key).strip(".")
    fitting = [head for head in generators if wanted is None or f".{head}".endswith(f".{wanted}")]
    if len(fitting) == 1:
        return generators[fitting[0]]
    held = ", ".join(head[:60] or "one without a name" for head in list(generators)[:10])
    if not fitting:
        raise UserError(f"{file}: has no generator {key!r}; choose one with --key: {held}")
    raise UserError(f"{file}: holds {len(generators)} generators; choose one with --key: {held}")


def _unwrapped(key: str) -> str:
    """Remove the parts of a name that DataParallel and torch.compile add."""
    return ".".join(part for part in key.split(".") if part not in WRAPPERS)


def _layout(tensors: Mapping[str, Tensor], file: Path) -> Layout:
    try:
        return find_layout(tensors)
    except ValueError as error:  # of the settings, too
        raise UserError(f"{file}: {error}") from error


def _said(config: GeneratorConfig | UnetConfig) -> str:
    if isinstance(config, UnetConfig):
        return f"a U-Net of {config.downsamplings} sizes"
    return f"a ResNet with {config.blocks} blocks"


def _named(network: nn.Module, kind: Any) -> list[str]:
    """Return the names of the layers of a kind, from the image to the result."""
    return [name for name, layer in network.named_modules() if isinstance(layer, kind)]


def _plain(tensors: Mapping[str, Tensor], names: Mapping[str, str], file: Path) -> dict[str, Tensor]:
    """Return finite float32 tensors, with 0 for the counters of batch norms.

    No result depends on these counters, and old files have none.
    """
    plain = {name: torch.tensor(0) for name in names if name.endswith("num_batches_tracked")}
    for name, tensor in tensors.items():
        if name in plain or (name.endswith(STATISTICS) and name not in names):
            continue
        if not tensor.is_floating_point() or tensor.layout != torch.strided or not tensor.isfinite().all():
            raise UserError(f"{file}: {name[:60]!r} is no tensor of finite numbers; give another file")
        plain[name] = tensor.detach().float()
    return plain


def _require_all(names: Mapping[str, str], tensors: Mapping[str, Tensor], file: Path) -> None:
    """Refuse tensors that lack a part of a generator or contain anything else."""
    missing = [key for key in names if key not in tensors]
    unknown = [key for key in tensors if key not in names]
    if missing or unknown:
        said = f"lacks {missing[0]}" if missing else f"has {unknown[0][:60]!r}, which is no part of such a generator"
        more = f" (and {len(missing) + len(unknown) - 1} more)" if len(missing) + len(unknown) > 1 else ""
        raise UserError(f"{file}: {said}{more}; give the whole file of a generator")


def _sides(file: Path, x: str | None, y: str | None) -> tuple[str, str]:
    """Return the names given, or those in the name of a file such as horse2zebra."""
    said = re.fullmatch(r"([a-z]+)2([a-z]+)", file.stem)
    if said and x is None and y is None:
        return said[1], said[2]
    if not x or not y or x == y:
        raise UserError(f"{file}: name what goes in and what comes out: --x horse --y zebra")
    return x, y
