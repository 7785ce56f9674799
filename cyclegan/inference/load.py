"""A trained method, brought back from a folder or a file that describes itself: no settings, no flags.

    painter = load("runs/photo2painting/cyclegan")
    painter("photo.jpg").save("painting.jpg")
    painter(image, to="photo")

Reads      a run folder (its newest whole checkpoint), a checkpoint folder, a released .safetensors file or folder, an
           exported .onnx file. Not .pt2: to read one is to run what its author has written into it.
Images     any size in, the same size out; tensors (n, 3, h, w) or (3, h, w), RGB in [-1, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cyclegan import __version__
from cyclegan.config import dump, parse
from cyclegan.config import load as read_config
from cyclegan.errors import UserError
from cyclegan.functional.color import luma
from cyclegan.images import from_bytes, read, to_bytes
from cyclegan.inference.graph import read_graph
from cyclegan.inference.original import USUAL, Kinds
from cyclegan.methods import build
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.methods.settings import DirectedConfig, MethodConfig
from cyclegan.networks.frozen import frozen
from cyclegan.pictures import read_picture, to_rgb
from cyclegan.pixels.kind import kinds_of
from cyclegan.precision import choose_device, choose_precision
from cyclegan.protocols import AnyImages, Stylizer, Trainable, Translator
from cyclegan.training.checkpoint import DamagedError, list_checkpoints, newest_checkpoint, read_release, verify

FORMAT = 1  # of the description in a release; raised when an older library could no longer read it
KNOWN = {"format": int, "method": str, "x": str, "y": str, "step": int}  # what a description must say
RELEASE = "release.safetensors"
WEIGHTS = "model.safetensors"  # of a folder for the hub
SIGNED = ("seed", "sha256", "decoder")  # of a network of others, what its pictures say of it
ROUNDING = 1e-3  # what resampling and half precision may add to the range of a tensor


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A trained method, ready to translate between the two sides it has learned."""

    about: Mapping[str, Any]  # the description: domain, sides, method, seed, step
    networks: Mapping[str, nn.Module]  # averaged weights, in evaluation mode
    translators: Mapping[str, Translator]  # side -> what translates to it
    pretrained: Mapping[str, str]  # the weights of others that it looks through: name, sha256 and more; or nothing
    damages: tuple[DamagedError, ...]  # newer checkpoints that were passed over
    stylizer: Stylizer | None = None  # a method that paints after examples

    @property
    def x(self) -> str:
        """The name of side X."""
        return self.about["x"]

    @property
    def y(self) -> str:
        """The name of side Y."""
        return self.about["y"]

    @property
    def signature(self) -> str:
        """What made a picture, in ASCII, as it is written into the file."""
        config: MethodConfig = parse(self.about["method"], MethodConfig, "method")
        made_by = [f"cyclegan {__version__}", config.name]
        if self.step:
            made_by.append(f"{self.about.get('domain')}, {self.step} steps")
        if imported := self.about.get("imported"):
            made_by.append(f"weights of {imported['file']}, sha256 {imported['sha256']}")
        if self.pretrained:
            said = (f"{key} {self.pretrained[key]}" for key in SIGNED if self.pretrained.get(key))
            made_by.append(", ".join([f"VGG-19 with {self.pretrained['name']} weights", *said]))
        return "; ".join(made_by).encode("ascii", "replace").decode()

    def kinds_to(self, to: str | None = None) -> Kinds:
        """The kinds of picture that a translation to a side takes and gives."""
        x, y = kinds_of(self.about)
        side = to or (self.to if self.translators else self.y)
        return Kinds(y, x) if side == self.x else Kinds(x, y)

    def require_rgb(self, what: str, to: str | None = None) -> None:
        """Say that this is for 8-bit RGB on both sides, unless it is."""
        if self.kinds_to(to) != USUAL:
            raise UserError(
                f"{what}: is 8-bit RGB, and this model translates {self.kinds_to(to)}; use `cyclegan translate`"
            )

    @property
    def step(self) -> int:
        """How many steps it was trained."""
        return self.about["step"]

    @property
    def to(self) -> str:
        """The side it translates to where none is named: Y, or the only one."""
        return self.y if self.y in self.translators else next(iter(self.translators))

    def translator(self, to: str | None = None) -> Translator:
        """What translates to a side; for images on any device."""
        if not self.translators:
            raise UserError("this method paints after an example; give one with --style picture.jpg")
        side = self.to if to is None else to
        if side not in self.translators:
            likely = get_close_matches(side.lower(), self.translators, n=1)
            hint = f"; did you mean '{likely[0]}'?" if likely else ""
            sides = " or ".join(f"'{name}'" for name in self.translators)
            raise UserError(f"'{side}': this model translates to {sides}{hint}")
        return self.translators[side]

    def after(self, *styles: Float[Tensor, "1 3 _ _"]) -> "Loaded":
        """The same method, painting after other examples."""
        if self.stylizer is None:
            raise UserError(f"style: this model has learned to translate to {self.y}; it takes no example")
        return replace(self, translators={self.y: self.stylizer.bind(*styles)})

    @overload
    def __call__(self, picture: str | Path | Image.Image, to: str | None = None) -> Image.Image: ...
    @overload
    def __call__(self, picture: Tensor, to: str | None = None) -> Tensor: ...
    def __call__(self, picture: str | Path | Image.Image | Tensor, to: str | None = None) -> Image.Image | Tensor:
        """A file or a Pillow image → an upright RGB one; a tensor → one of its size, type and device."""
        translate = self.translator(to).translate
        if isinstance(picture, Tensor):
            batch = _as_batch(picture, self.kinds_to(to).source.channels)
            return translate(batch.float()).to(picture)[0 if picture.ndim == 3 else slice(None)]
        self.require_rgb("a picture", to)
        return Image.fromarray(to_bytes(translate(from_bytes(_as_array(picture))))[0].numpy())


def load(
    path: str | Path,
    device: str = "auto",
    style: Sequence[str | Path] = (),
    *,
    weights: Sequence[float | int] | None = None,
    masks: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    precision: str = "float32",
) -> Loaded:
    """What a run folder, a checkpoint folder, a released file or the settings of a method hold.

    device     auto, cpu, cuda or mps.
    style      The example pictures of a method that paints after examples; without any, it is given them by `after`.
    weights    How much of each style, where several are mixed; by default they are equal.
    masks      Instead, a grey picture for each style: white where it goes.
    overrides  Other settings than those of the file or of the training, as in ["alpha=0.5"].
    precision  Of a trained generator: float32, bfloat16 (twice as fast where the device has it, about one level of 255
               off), or auto, which takes bfloat16 there. Gatys and AdaIN have a setting of their own for it.
    """
    examples = _Examples(style, weights, masks)
    chosen = choose_device(device)
    match Path(path).suffix:
        case ".yaml" | ".yml":
            return _load_settings(Path(path), chosen, examples, overrides)
        case ".onnx":
            changed = {"style": any(examples), "set": overrides, "precision": precision != "float32"}
            return _load_graph(Path(path), [name for name, given in changed.items() if given])
        case ".pt2":
            raise UserError(f"{path}: reading a .pt2 can run code of its author; give the .onnx or the release instead")
    file, damages = _find_release(Path(path))
    tensors, said = read_release(file, str(chosen))
    about = _checked(said, file)
    config: MethodConfig = parse(about["method"], MethodConfig, f"{file}: method", overrides)
    try:
        x, y = kinds_of(about)
        with torch.device("meta"):  # no time for random weights that the saved ones replace
            method = build(config, (x.channels, y.channels))
    except ValueError as error:
        raise DamagedError(f"{file}: its description is contradictory ({error}); take another checkpoint") from error
    try:
        networks = _networks(method, about)
        kinds = {name: tensor.dtype for name, tensor in networks.state_dict().items()}
        networks.load_state_dict(tensors, assign=True)
        if any(tensor.dtype != kinds[name] for name, tensor in tensors.items()):
            raise RuntimeError("weights are kept in float32")
    except (RuntimeError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{file}: its weights do not fit the method it describes; take another checkpoint"
        ) from error
    loaded = _loaded(method, about, examples, chosen, damages)
    dtype = choose_precision(precision, chosen)
    return loaded if dtype == torch.float32 else replace(loaded, translators=_frozen(loaded.translators, dtype))


def _frozen(translators: Mapping[str, Translator], dtype: torch.dtype) -> Mapping[str, Translator]:
    """Those of networks, with copies that compute in fewer digits."""
    return {
        side: replace(one, network=frozen(one.network, dtype)) if isinstance(one, NetworkTranslator) else one
        for side, one in translators.items()
    }


def _load_settings(path: Path, device: torch.device, examples: "_Examples", overrides: Sequence[str]) -> Loaded:
    """A method that needs no training of ours: Gatys, or AdaIN with its public decoder."""
    config: MethodConfig = read_config(path, MethodConfig, overrides)
    if isinstance(config, DirectedConfig):
        raise UserError(f"{path}: {config.name} has to be trained; give the folder of a run")
    about = {"format": FORMAT, "method": dump(config), "x": "content", "y": "style", "step": 0, "domain": None}
    return _loaded(build(config), about, examples, device, [])


def _loaded(
    method: Any, about: Mapping[str, Any], examples: "_Examples", device: torch.device, damages: Sequence[DamagedError]
) -> Loaded:
    networks = _networks(method, about) if isinstance(method, Trainable) else nn.ModuleDict()
    translators = examples.translators(method, about, device)
    return Loaded(
        about=about,
        networks=dict(networks.to(device).eval()),
        translators={side: one for side, one in translators.items() if _is_whole(one)},
        pretrained=method.pretrained if isinstance(method, Stylizer) else {},
        damages=tuple(damages),
        stylizer=method if isinstance(method, Stylizer) else None,
    )


def _networks(method: Trainable, about: Mapping[str, Any]) -> nn.ModuleDict:
    """Those that the file holds: all of the method, or some that the description names."""
    networks = method.networks()
    return nn.ModuleDict({name: networks[name] for name in about.get("networks") or networks})


def _is_whole(translator: Translator) -> bool:
    """Whether its network was in the file; what was not has no weights."""
    network = translator.network if isinstance(translator, NetworkTranslator) else nn.Identity()
    return not any(parameter.is_meta for parameter in network.parameters())


def _load_graph(path: Path, changed: Sequence[str]) -> Loaded:
    """An exported graph, which is what it is."""
    if changed:
        raise UserError(f"--{changed[0]}: {path} was exported with its settings; give the release it was made from")
    if not path.is_file():
        raise UserError(f"{path}: does not exist; `cyclegan export` writes one")
    about, translator = read_graph(path)
    translators = {about["to"]: translator}
    return Loaded(about=_checked(about, path), networks={}, translators=translators, pretrained={}, damages=())


class _Examples(NamedTuple):
    """What a method that paints after examples is shown."""

    style: Sequence[str | Path]
    weights: Sequence[float | int] | None
    masks: Sequence[str | Path]

    def translators(self, method: Any, about: Mapping[str, Any], device: torch.device) -> Mapping[str, Translator]:
        """side -> what translates to it; a Stylizer is bound to its examples."""
        if not isinstance(method, Stylizer):
            if any(self):
                raise UserError(f"--style: this model has learned to translate to {about['y']}; it takes no example")
            return {about[side]: translator for side, translator in method.translators.items()}
        if not any(self):
            return {}
        styles = [read(Path(path)).to(device) for path in self.style]
        return {about["y"]: method.bind(*styles, weights=self.weights, masks=self._masks(device))}

    def _masks(self, device: torch.device) -> Float[Tensor, "_ _ _"] | None:
        """The luma of the pictures in 0 … 1, all with the size of the first."""
        if not self.masks:
            return None
        lumas = [luma(read(Path(path))).add(1).div(2)[None] for path in self.masks]
        size = lumas[0].shape[2:]
        return torch.cat([interpolate(mask, size, mode="area")[0] for mask in lumas]).to(device)


def _find_release(path: Path) -> tuple[Path, list[DamagedError]]:
    """The file to read, and what was wrong with the newer ones."""
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
        raise DamagedError(f"{folder}: no checkpoint is whole ({damages[0]})")
    if newest is None:
        raise UserError(f"{path}: holds no checkpoint; give the folder of a run that has saved one")
    return newest / RELEASE, damages


def _checked(about: Any, file: Path) -> Mapping[str, Any]:
    """The description of a release, if it is one that we can read."""
    if not isinstance(about, Mapping) or "format" not in about:
        raise UserError(f"{file}: does not describe itself; give a run folder or the {RELEASE} of a checkpoint")
    wrong = [key for key, kind in KNOWN.items() if type(about.get(key)) is not kind]
    if "format" not in wrong and about["format"] > FORMAT:
        written_by = f"cyclegan {about.get('library')} in format {about['format']}"
        raise UserError(f"{file}: was written by {written_by}, newer than this library; update cyclegan")
    if wrong:
        raise DamagedError(f"{file}: its description lacks {', '.join(wrong)}; take another checkpoint")
    return about


def _as_batch(picture: Tensor, channels: int) -> AnyImages:
    """(n, c, h, w) or (c, h, w) → (n, c, h, w); refuses what is no image in [-1, 1]."""
    shape = tuple(picture.shape)
    if len(shape) not in (3, 4) or shape[-3] != channels or 0 in shape or not picture.is_floating_point():
        raise UserError(
            f"a tensor of shape {shape} and type {picture.dtype}: "
            f"give floats of shape (n, {channels}, h, w) or ({channels}, h, w)"
        )
    if not picture.abs().max() <= 1 + ROUNDING:  # NaN is not either
        raise UserError(f"a tensor from {picture.min():.4g} to {picture.max():.4g}: scale it to [-1, 1]")
    return picture if picture.ndim == 4 else picture[None]


def _as_array(picture: str | Path | Image.Image) -> np.ndarray:
    """uint8 (h, w, 3), upright."""
    if isinstance(picture, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(picture)))
    return read_picture(Path(picture))
