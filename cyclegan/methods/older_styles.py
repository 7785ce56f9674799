"""Addition of styles to a trained network of several styles, none of whose weights change."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from cyclegan.config import parse
from cyclegan.errors import UserError
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.release import read_description, read_spec
from cyclegan.training.checkpoint import newest_checkpoint, read_release


def load_older_styles(network: nn.Module, name: str, extends: Path, method: str, styles: Sequence[str]) -> int:
    """Copy the weights of a trained network into one with more styles, and freeze them.

    The parameters that the trained network lacks are left to learn.

    name     Name of the network in the file.
    extends  Run folder, whose newest checkpoint is read, or released file.
    method   Name of the method that must have trained it.
    styles   All styles: those of the file first, in its order, then the new ones.

    Returns the number of older styles.
    """
    file = _release_of(extends)
    tensors, said = read_release(file)
    about = read_description(said, file)
    config: MethodConfig = parse(about["method"], METHODS, f"{file}: method")
    if config.name != method:
        raise UserError(f"method.extends: {file} was trained by {config.name}; give a run of {method}")
    older = read_spec(about).styles
    if tuple(styles[: len(older)]) != older or len(styles) == len(older):
        raise UserError(
            f"method.extends: {file} has the styles {', '.join(older)}; let data.styles begin with these, in this "
            "order, and add one or more"
        )
    _fill(network, {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items()}, file)
    return len(older)


def replace_older(style: Int64[Tensor, " n"], older: int, styles: int) -> Int64[Tensor, " n"]:
    """Return indices (n,) with every older style replaced by one of the new ones, which alone learn."""
    return torch.where(style < older, older + style % max(styles - older, 1), style)


def _release_of(extends: Path) -> Path:
    if extends.is_file():
        return extends
    newest, _ = newest_checkpoint(extends / "checkpoints")
    if newest is None:
        raise UserError(f"method.extends: {extends} holds no checkpoint; give the folder of a run, or a released file")
    return newest / "release.safetensors"


def _fill(network: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    """Load the weights that there are, and freeze the parameters that they are for."""
    parameters = dict(network.named_parameters())
    shapes = {key: parameter.shape for key, parameter in parameters.items() if key in tensors}
    if shapes != {key: tensor.shape for key, tensor in tensors.items()}:
        raise UserError(f"method.extends: {file} holds a network of other sizes; take the settings of method from it")
    network.load_state_dict(tensors, strict=False)
    for key in tensors:
        parameters[key].requires_grad_(False)
