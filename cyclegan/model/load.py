"""Loading of a trained method from a folder or file that describes itself, without settings or flags.

    translator = load("runs/photo2painting/cyclegan")
    translator("photo.jpg").save("painting.jpg")
    translator(image, to="photo")

Reads      a run folder (its newest complete checkpoint), a checkpoint folder, a released .safetensors file or
           folder, or an exported .onnx file. A .pt2 file is refused: reading one runs code of its author.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.config import dump, parse
from cyclegan.config import load as read_config
from cyclegan.data.spec import DataSpec
from cyclegan.device import choose_device, choose_precision
from cyclegan.errors import UserError, expanded
from cyclegan.images.tensors import read
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.compiled import compiled
from cyclegan.model.graph import read_graph
from cyclegan.model.masks import read_masks
from cyclegan.model.model import Model
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.protocols import Enlarges, MayBeUntrained, Mixes, Stylizes, Trainable, Translates, Translator
from cyclegan.release import BadDescriptionError, describe, read_description, read_spec
from cyclegan.training.checkpoint import (
    CorruptCheckpointError,
    list_checkpoints,
    newest_checkpoint,
    read_release,
    verify,
)

RELEASE = "release.safetensors"
WEIGHTS = "model.safetensors"  # of a folder for the hub


def load(
    path: str | Path,
    device: str = "auto",
    style: Sequence[str | Path] = (),
    *,
    weights: Sequence[float | int] | None = None,
    masks: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    precision: str = "float32",
    compile: bool = False,
) -> Model:
    """Load a model from a run folder, a checkpoint folder, a released file or the settings of a method.

    device     auto, cpu, cuda, cuda:1 or mps.
    style      Style images, for a method that works from examples; if there are none, pass them to `after`.
    weights    Share of each style when several are mixed; equal by default.
    masks      Instead of weights, a gray image for each style: white where it applies, black or transparent
               elsewhere.
    overrides  Settings that replace those of the file or of the training, as in ["alpha=0.5"].
    precision  Precision of a trained generator: float32, bfloat16 (twice as fast where the device supports
               it, about one level of 255 off), or auto, which selects bfloat16 there. Gatys and AdaIN have a
               setting of their own for it.
    compile    Freeze and compile the generators: a minute or two at the first images, then faster.
    """
    path = expanded(path)
    examples = _Examples(style, weights, masks)
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    match path.suffix:
        case ".yaml" | ".yml":
            loaded = _load_settings(path, chosen, examples, overrides)
        case ".onnx":
            changed = {"style": any(examples), "set": overrides, "precision": precision != "float32"}
            loaded = _load_graph(path, [name for name, given in changed.items() if given])
        case ".pt2":
            raise UserError(f"{path}: reading a .pt2 can run code of its author; give the .onnx or the release instead")
        case _:
            loaded = _load_release(path, chosen, examples, overrides)
            if dtype != torch.float32:
                loaded = replace(loaded, translators=_frozen(loaded.translators, dtype))
    return compiled(loaded) if compile else loaded


def _frozen(translators: Mapping[str, Translator], dtype: torch.dtype) -> Mapping[str, Translator]:
    """Replace the networks of the translators by frozen copies of a lower precision."""
    return {
        side: replace(one, network=inference_copy(one.network, dtype)) if isinstance(one, NetworkTranslator) else one
        for side, one in translators.items()
    }


def _load_release(path: Path, device: torch.device, examples: "_Examples", overrides: Sequence[str]) -> Model:
    """Load a method that was trained by this library, or imported."""
    file, damages = _find_release(path)
    tensors, said = read_release(file, str(device))
    about = _checked(said, file)
    method, spec = _described(about, file, overrides)
    try:
        networks = _networks(method, about)
        kinds = {name: tensor.dtype for name, tensor in networks.state_dict().items()}
        networks.load_state_dict(tensors, assign=True)
        if any(tensor.dtype != kinds[name] for name, tensor in tensors.items()):
            raise RuntimeError("weights are kept in float32")
    except (RuntimeError, KeyError, TypeError) as error:
        raise CorruptCheckpointError(
            f"{file}: its weights do not fit the method it describes; take another checkpoint"
        ) from error
    return _loaded(method, about, spec, examples, device, damages)


def _described(about: Mapping[str, Any], file: Path, overrides: Sequence[str]) -> tuple[Any, DataSpec]:
    """Build the method of a description; its networks have no weights yet."""
    config: MethodConfig = parse(about["method"], METHODS, f"{file}: method", overrides)
    try:
        spec = read_spec(about)
        with torch.device("meta"):  # skip random weights, which the saved ones would replace
            return config.build(spec, train=False), spec
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{file}: its description is contradictory ({error}); take another checkpoint"
        ) from error


def _load_settings(path: Path, device: torch.device, examples: "_Examples", overrides: Sequence[str]) -> Model:
    """Load a method that this library need not train: Gatys, or AdaIN with its public decoder."""
    config: MethodConfig = read_config(path, METHODS, overrides)
    if isinstance(config, MayBeUntrained) and config.untrained:
        raise UserError(f"{path}: its network is untrained; {config.untrained}")
    spec = DataSpec(names={"x": "content", "y": "style"})
    method = config.build(spec)
    if not isinstance(method, Stylizes):
        raise UserError(f"{path}: {config.name} has to be trained; give the folder of a run")
    about = describe(spec, ["style"], method=dump(config), step=0, domain=None)
    return _loaded(method, about, spec, examples, device, [])


def _loaded(
    method: Any,
    about: Mapping[str, Any],
    spec: DataSpec,
    examples: "_Examples",
    device: torch.device,
    damages: Sequence[CorruptCheckpointError],
) -> Model:
    networks = _networks(method, about) if isinstance(method, Trainable) else nn.ModuleDict()
    styles = examples.pictures(method, about, device)
    translators = examples.translators(method, about, styles, device)
    return Model(
        about=about,
        spec=spec,
        networks=dict(networks.to(device).eval()),
        translators={to: one for to, one in translators.items() if to in about["targets"] and _is_whole(one)},
        pretrained=method.pretrained if isinstance(method, Stylizes) else {},
        damages=tuple(damages),
        notes=tuple(examples.notes(method, styles)),
        stylizer=method if isinstance(method, Stylizes) else None,
        mixer=method if isinstance(method, Mixes) else None,
    )


def _networks(method: Trainable, about: Mapping[str, Any]) -> nn.ModuleDict:
    """Return the networks that the file holds: all of the method, or those that the description names."""
    networks = method.networks()
    return nn.ModuleDict({name: networks[name] for name in about.get("networks") or networks})


def _is_whole(translator: Translator) -> bool:
    """Return whether the network of a translator was in the file; otherwise it has no weights."""
    network = translator.network if isinstance(translator, NetworkTranslator) else nn.Identity()
    return not any(parameter.is_meta for parameter in network.parameters())


def _load_graph(path: Path, changed: Sequence[str]) -> Model:
    """Load an exported graph, whose settings cannot be changed."""
    if changed:
        raise UserError(f"--{changed[0]}: {path} was exported with its settings; give the release it was made from")
    if not path.is_file():
        raise UserError(f"{path}: does not exist; `cyclegan export` writes one")
    about, translator = read_graph(path)
    about = _checked(about, path)
    translators = {about["to"]: translator}
    return Model(about=about, spec=read_spec(about), networks={}, translators=translators, pretrained={}, damages=())


class _Examples(NamedTuple):
    """Style images, weights and masks for a method that works from examples."""

    style: Sequence[str | Path]
    weights: Sequence[float | int] | None
    masks: Sequence[str | Path]

    def pictures(self, method: Any, about: Mapping[str, Any], device: torch.device) -> list[Float[Tensor, "1 3 _ _"]]:
        """Read the style images; refuse them for a method that takes none."""
        if any(self) and not isinstance(method, Stylizes):
            targets = " or ".join(about["targets"])
            raise UserError(f"--style: this model has learned to translate to {targets}; it takes no style image")
        return [read(expanded(path)).to(device) for path in self.style]

    def translators(
        self, method: Any, about: Mapping[str, Any], styles: Sequence[Tensor], device: torch.device
    ) -> Mapping[str, Translator]:
        """Map each target to its translator; a method that stylizes is bound to its examples."""
        if not isinstance(method, Stylizes):
            return method.translators if isinstance(method, Translates) else {}
        if not any(self):
            return {}
        masks = read_masks(self.masks).to(device) if self.masks else None
        bound = method.bind(*styles, weights=self.weights, masks=masks)
        return dict.fromkeys(list(about["targets"])[:1], bound)

    def notes(self, method: Any, styles: Sequence[Tensor]) -> Iterator[str]:
        """Describe the styles that are too small for the method, and how they are enlarged."""
        for path, style in zip(self.style, styles, strict=True):
            larger = method.enlarged(style) if isinstance(method, Enlarges) else style
            if larger is not style:
                sizes = [f"{image.shape[3]}×{image.shape[2]}" for image in (style, larger)]
                yield f"{path}: {sizes[0]} px is too small for a style; enlarged to {sizes[1]} px"


def _find_release(path: Path) -> tuple[Path, list[CorruptCheckpointError]]:
    """Return the file to read, and the damage found in newer checkpoints."""
    if path.is_file():
        return path, []
    if not path.is_dir():
        raise UserError(f"{path}: does not exist; give a run folder, a checkpoint folder or a .safetensors file")
    if (path / "manifest.json").exists() or (path / RELEASE).exists():
        verify(path)
        return path / RELEASE, []
    if (path / WEIGHTS).exists():
        return path / WEIGHTS, []
    folder = path if list_checkpoints(path) else path / "checkpoints"
    newest, damages = newest_checkpoint(folder)
    if newest is None and damages:
        raise CorruptCheckpointError(f"{folder}: no checkpoint is whole ({damages[0]})")
    if newest is None:
        raise UserError(f"{path}: holds no checkpoint; give the folder of a run that has saved one")
    return newest / RELEASE, damages


def _checked(about: Any, file: Path) -> Mapping[str, Any]:
    """Return the description of a release, in format 2."""
    try:
        return read_description(about, file)
    except BadDescriptionError as error:
        raise CorruptCheckpointError(str(error)) from error
