"""Conversion of the style networks of pytorch/examples (fast_neural_style) to releases of equal output.

Reads      the state dictionary of a TransformerNet of any width and number of blocks, plain or wrapped.
Drops      running means and variances of instance norms, which files of 2017 hold: neither that code nor this
           library normalizes by them.
Range      That network takes and returns levels 0…255; this library, which has images in [−1, 1], converts
           both inside the network and clamps, as that code does before it saves.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cyclegan.config import dump
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.export.graph_files import atomic_output
from cyclegan.export.import_junyanz import STATISTICS, WRAPPERS
from cyclegan.export.model_card import save_release
from cyclegan.images.pixel_format import RGB
from cyclegan.methods.johnson import JohnsonConfig
from cyclegan.networks.build import build_transform_net
from cyclegan.networks.network_config import TransformNetConfig
from cyclegan.networks.transform_net import TransformNet
from cyclegan.networks.weights import hash_file, read_nested
from cyclegan.release import describe
from cyclegan.training.provenance import commit

FIRST, LAST = "conv1.conv2d", "deconv3.conv2d"
BLOCK = re.compile(r"res(\d{1,3})\.conv1\.conv2d\.weight")


def recognizes(file: Path) -> bool:
    """Return whether a file holds a TransformerNet."""
    return {f"{FIRST}.weight", f"{LAST}.weight"} <= _plain_names(read_nested(file)).keys()


def convert_style(file: Path, out: Path, x: str | None = None, style: str | None = None) -> str:
    """Write a release of a style network; return a line that says what was written.

    x      Name of the contents, by default photo.
    style  Name of the style, by default that of the file: candy for candy.pth.
    """
    if out.suffix not in (".safetensors", ""):
        raise UserError(f"{out}: is no name for a release; give .safetensors or a folder")
    x, style = x or "photo", style or file.stem
    if x == style:
        raise UserError(f"{file}: name contents and style differently: --x photo --y candy")
    config, network = read_transformer_net(file)
    spec = DataSpec(kind="styles", names={"content": x}, formats={"content": RGB}, styles=(style,))
    about = {
        "domain": None,
        "method": dump(JohnsonConfig(generator=config)),
        "networks": ["G"],
        "commit": commit(),
        "step": 0,  # the file does not say how many
        "imported": {"file": file.name, "sha256": hash_file(file)},
    }
    with atomic_output(out) as partial:
        save_release(partial, {"G": network}, describe(spec, [style], **about))
    return f"{out}: {x} → {style}, a style network with {config.blocks} blocks of {config.base_channels} channels"


def read_transformer_net(file: Path) -> tuple[TransformNetConfig, TransformNet]:
    """Return the settings that fit a TransformerNet, and a network that holds its weights."""
    tensors = {k: t for k, t in _plain_names(read_nested(file)).items() if not k.endswith(STATISTICS)}
    config = _config(tensors, file)
    with torch.device("meta"):
        network = build_transform_net(config)
    ours = [name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.InstanceNorm2d)]
    names = {
        f"{their}.{key}": f"{our}.{key}"
        for our, their in zip(ours, _layers(config.blocks), strict=True)
        for key in ("weight", "bias")
    }
    if missing := sorted(names.keys() ^ tensors.keys()):
        verb = "lacks" if missing[0] in names else "has"
        raise UserError(f"{file}: {verb} {missing[0][:60]!r}, unlike a TransformerNet; give another file")
    if wrong := [key for key, tensor in tensors.items() if not _is_finite(tensor)]:
        raise UserError(f"{file}: {wrong[0][:60]!r} is no tensor of finite numbers; give another file")
    try:
        network.load_state_dict({our: tensors[their].detach().float() for their, our in names.items()}, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()[:160]
        raise UserError(f"{file}: its layers do not fit each other ({reason}); give another file") from error
    return config, network


def _config(tensors: Mapping[str, Tensor], file: Path) -> TransformNetConfig:
    first = tensors.get(f"{FIRST}.weight")
    if first is None or first.ndim != 4:
        raise UserError(f"{file}: is no TransformerNet of pytorch/examples; give a file of one, as candy.pth")
    blocks = len(list(filter(BLOCK.fullmatch, tensors)))
    options = {"norm": "instance", "padding": "reflect", "upsampling": "resize", "input": "levels", "output": "levels"}
    try:
        return TransformNetConfig(base_channels=len(first), blocks=blocks, **options)  # type: ignore[arg-type]
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error


def _layers(blocks: int) -> list[str]:
    """Return the names of convolutions and norms there, from the image to the result."""
    down = [f"{kind}{i}" for i in (1, 2, 3) for kind in ("conv", "in")]
    inside = [f"res{i}.{kind}{k}" for i in range(1, blocks + 1) for k in (1, 2) for kind in ("conv", "in")]
    names = [*down, *inside, "deconv1", "in4", "deconv2", "in5", "deconv3"]
    return [f"{name}.conv2d" if "conv" in name.rpartition(".")[2] else name for name in names]


def _plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the parts of names that DataParallel and torch.compile add."""
    return {".".join(p for p in key.split(".") if p not in WRAPPERS): tensor for key, tensor in tensors.items()}


def _is_finite(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided and bool(tensor.isfinite().all())
